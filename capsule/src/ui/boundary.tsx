import { Component, type ComponentChildren } from "preact";
import { t } from "../core/text";
import { Failure } from "./load-states";

/** Shows a failure in place of its children if they throw. Without it the old content would stay above the next page. */
export class Boundary extends Component<{ children: ComponentChildren }, { broken: boolean }> {
  override state = { broken: false };

  override componentDidCatch(error: unknown): void {
    this.setState({ broken: true });
    reportError(error);
  }

  override render(): ComponentChildren {
    if (!this.state.broken) return this.props.children;
    return (
      <Failure
        title={t`This part of the page failed`}
        error={{ detail: t`If trying again does not help, reload the page.`, instance: "", status: 404 }}
        onRetry={() => this.setState({ broken: false })}
      />
    );
  }
}
