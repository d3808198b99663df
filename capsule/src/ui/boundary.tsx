import { Component, type ComponentChildren } from "preact";
import { t } from "../core/text/i18n";
import { Failure } from "./load-states";

/** Keeps an error in the part of the page that made it: without one, what was drawn before stays there for good, and the next page stands below it. */
export class Boundary extends Component<{ children: ComponentChildren }, { broken: boolean }> {
  override state = { broken: false };

  override componentDidCatch(error: unknown): void {
    this.setState({ broken: true });
    reportError(error);
  }

  override render(): ComponentChildren {
    if (!this.state.broken) return this.props.children;
    return <Failure title={t`This part of the page failed`} error={{ detail: t`If trying again does not help, reload the page.`, instance: "", status: 404 }} onRetry={() => this.setState({ broken: false })} />;
  }
}
