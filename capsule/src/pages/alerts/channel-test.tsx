/** A button that sends a test message and shows whether it arrived. */

import { useEffect, useRef, useState } from "preact/hooks";
import { deliverySentence, isSettled } from "../../core/alerts/delivery-text";
import { t } from "../../core/text";
import { deliveryOf, testChannel } from "../../state/alert-calls";
import { dayStart } from "../../state/clock";
import { ApiError, type ChannelView } from "../../state/types";
import { Button, Glyph } from "../../ui";

const EVERY_MS = 700;
/** The test is followed for so many reads. Later tries are in the delivery log. */
const MOST_LOOKS = 60;

interface Outcome {
  text: string;
  glyph: "run" | "done" | "fail";
}

export function ChannelTest({ channel, onSettled }: { channel: ChannelView; onSettled: () => void }) {
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  /** The number of the newest test; the loops of older tests end. */
  const newest = useRef(0);
  useEffect(
    () => () => {
      newest.current += 1;
    },
    [],
  );
  const follow = async (id: string, test: number): Promise<void> => {
    for (let look = 0; look < MOST_LOOKS; look += 1) {
      const found = await deliveryOf(channel.id, id);
      if (newest.current !== test) return;
      if (found)
        setOutcome({
          text: deliverySentence(found, dayStart.peek()),
          glyph: found.state === "sent" ? "done" : found.state === "failed" ? "fail" : "run",
        });
      if (found && isSettled(found)) return onSettled();
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      if (newest.current !== test) return;
    }
  };
  const run = async (): Promise<void> => {
    const test = (newest.current += 1);
    setOutcome({ text: t`Sending the test…`, glyph: "run" });
    try {
      await follow(await testChannel(channel.id), test);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (newest.current === test) setOutcome({ text: error.detail, glyph: "fail" });
    }
  };
  return (
    <div class="row wrap channel-test">
      <span class="row meta" role="status">
        {outcome && <Glyph kind={outcome.glyph} label="" />}
        <span class="anywhere">{outcome?.text}</span>
      </span>
      <Button slim acts icon="send" more={{ "aria-label": t`Test ${channel.name}` }} onClick={() => void run()}>
        {t`Test`}
      </Button>
    </div>
  );
}
