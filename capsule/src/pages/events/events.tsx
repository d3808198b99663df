import type { VNode } from "preact";
import { EventList } from "./list";

export const EventsPage = (): VNode => (
  <div class="page">
    <div class="page-head">
      <h1 tabIndex={-1}>Events</h1>
    </div>
    <EventList />
  </div>
);
