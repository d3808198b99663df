import { useRef, useState } from "preact/hooks";
import { importedItems, type ImportPlan } from "../core/text/import-file";
import { t } from "../core/text";
import { toast } from "../state/toasts";
import { ApiError } from "../state/types";
import { Banner, Button, Glyph } from "../ui";
import { Dialog, Foot } from "../ui/dialog";
import { readText, UNREADABLE } from "./add/chosen-file";
import { ActionError, useAction } from "./use-action";

/** The hub takes bodies of at most 1 MiB. */
const LARGEST = 900 * 1024;
const SHOWN = 100;

interface Fault {
  number: number;
  fault: string;
}

/** The entries that the hub refuses, from the facts of its refusal. */
const faultsOf = (error: ApiError): readonly Fault[] => {
  const { faults } = error.facts;
  return Array.isArray(faults) ? (faults as Fault[]) : [];
};

interface Props {
  title: string;
  /** The name of the list in the file. */
  kind: "rules" | "policies";
  /** Says what a file holds and where it comes from. */
  hint: string;
  /** Checks and compares the entries, or applies all of them. */
  send: (items: readonly Record<string, unknown>[], dryRun: boolean) => Promise<ImportPlan>;
  onDone: () => void;
  onClose: () => void;
}

/** The dialog that applies a file: the hub says first what it would add and change, and then does all of it or nothing. */
export function ImportDialog({ title, kind, hint, send, onDone, onClose }: Props) {
  const [read, setRead] = useState<{ name: string; items: readonly Record<string, unknown>[]; plan: ImportPlan } | null>(null);
  const [wrong, setWrong] = useState("");
  const [faults, setFaults] = useState<readonly Fault[]>([]);
  const file = useRef<HTMLInputElement>(null);
  const act = useAction(t`Not applied`);
  const end = act.dialogProps(onClose);
  const ask = async (items: readonly Record<string, unknown>[], dryRun: boolean): Promise<ImportPlan> => {
    try {
      return await send(items, dryRun);
    } catch (error) {
      if (error instanceof ApiError) setFaults(faultsOf(error));
      throw error;
    }
  };
  const choose = async (chosen: File | undefined): Promise<void> => {
    setRead(null);
    setWrong("");
    setFaults([]);
    if (!chosen) return;
    if (chosen.size > LARGEST) return setWrong(t`This file is larger than 900 KiB: apply it in several parts.`);
    const text = await readText(chosen);
    if (text === null) return setWrong(UNREADABLE);
    const items = importedItems(text, kind);
    if (!items) return setWrong(t`This file has no “${kind}”. Choose one that was exported here or by the command line.`);
    await act.run(async () => setRead({ name: chosen.name, items, plan: await ask(items, true) }));
  };
  const apply = async (): Promise<void> => {
    if (!read) return;
    const done = await act.run(async () => {
      await ask(read.items, false);
    });
    if (!done) return;
    toast("done", t`${read.name} was applied`);
    onDone();
    onClose();
  };
  const changes = read?.plan.rows.filter(({ act: what }) => what !== "keep") ?? [];
  return (
    <Dialog title={title} size="wide" onClose={end.onClose}>
      <div class="body stack">
        <ActionError text={faults.length ? "" : act.refusal} />
        {faults.length > 0 && (
          <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
            <b>{t`Nothing was changed: the hub cannot take this file.`}</b>
            {faults.slice(0, SHOWN).map(({ number, fault }) => (
              <p key={number} class="plain">{t`Entry ${number}: ${fault}`}</p>
            ))}
          </Banner>
        )}
        {wrong && (
          <p class="wrong" role="alert">
            {wrong}
          </p>
        )}
        <p class="t2">{hint}</p>
        <div class="row">
          <Button busy={act.busy && !read} onClick={() => file.current?.click()}>
            {read ? t`Choose another file` : t`Choose file`}
          </Button>
          {read && <span class="t2 anywhere">{read.name}</span>}
          <input
            ref={file}
            type="file"
            accept=".json,application/json"
            class="hidden-text"
            aria-label={t`Import from a file`}
            tabIndex={-1}
            onChange={(event) => {
              void choose(event.currentTarget.files?.[0]);
              event.currentTarget.value = "";
            }}
          />
        </div>
        {read && (
          <>
            <p role="status">{summary(read.plan)}</p>
            {changes.length > 0 && (
              <ul class="card rows-card" aria-label={t`What would change`}>
                {changes.slice(0, SHOWN).map(({ name, act: what, changes: said }, at) => (
                  <li key={`${at} ${name}`}>
                    <div class="grow">
                      <p>
                        <b class="medium anywhere">{name}</b> <span class="t3">{what === "add" ? t`is added` : t`is changed`}</span>
                      </p>
                      {said.map((text) => (
                        <p key={text} class="meta t2 anywhere">
                          {text}
                        </p>
                      ))}
                    </div>
                  </li>
                ))}
              </ul>
            )}
          </>
        )}
      </div>
      <Foot {...end}>
        <Button kind="primary" busy={act.busy && read !== null} disabled={!changes.length} onClick={() => void apply()}>
          {changes.length ? t`Apply ${changes.length} of ${read?.plan.rows.length ?? 0}` : t`Apply`}
        </Button>
      </Foot>
    </Dialog>
  );
}

function summary({ rows, left }: ImportPlan): string {
  const count = (act: string): number => rows.filter((row) => row.act === act).length;
  return t`${count("add")} would be added, ${count("change")} changed, ${count("keep")} are the same. ${left} of the hub are not in the file and stay.`;
}
