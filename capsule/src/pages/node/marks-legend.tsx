/** What the marks on the time axis of the charts stand for, as words that need no pointer. */

import { marksSummary, type ChartMark } from "../../core/charts/chart-marks";
import { t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { Time } from "../../ui/time";

const SHOWN = 20;

export function MarksLegend({ marks }: { marks: readonly ChartMark[] }) {
  if (!marks.length) return null;
  return (
    <details class="options">
      <summary>{t`Marks in the charts: ${marksSummary(marks)}`}</summary>
      <ul class="meta">
        {marks
          .slice(-SHOWN)
          .reverse()
          .map(({ at, text }) => (
            <li key={`${at} ${text}`} class="t2 anywhere">
              <Time at={at}>{timeOrDate(at, dayStart.value)}</Time> {text}
            </li>
          ))}
      </ul>
    </details>
  );
}
