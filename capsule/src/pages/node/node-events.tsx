import type { VNode } from "preact";
import { EventList } from "../events/list";

export const NodeEvents = ({ id }: { id: string }): VNode => <EventList node={id} />;
