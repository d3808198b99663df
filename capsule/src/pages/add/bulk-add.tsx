import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { plural, pluralWord, t, tElements } from "../../core/text";
import { addressText, splitRows } from "../../core/deployments/server-list";
import { POLICIES } from "../../core/jobs/job-labels";
import { showDialog } from "../../state/dialogs";
import { newIdempotencyKey } from "../../state/job-detail";
import { go } from "../../state/router";
import { addServers, previewList } from "../../state/servers";
import { ApiError, type ListedServerView, type ManyDeploymentsBody, type ServerListView } from "../../state/types";
import { Button, Form, Glyph } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { Check, SelectField, Switch, TagsField } from "../../ui/form";
import { GridHead, Cell } from "../../ui/grid-head";
import { ActionError } from "../use-action";
import { DEPLOYMENTS, toastStarted, useSubmit } from "../jobs/submit/use-submit";
import { readText, UNREADABLE } from "./chosen-file";
import { DraftBanner } from "./draft-banner";
import { JumpFields, SignInFields, useFocusFirstError, ProxyField, UserField } from "./connection-fields";
import { listDraft, useDraft } from "./draft";
import {
  deploymentBody,
  jumpErrors,
  signInErrors,
  EMPTY_LIST,
  type ConnectionForm,
  type ListForm,
  type FormErrors,
} from "./connection-form";
import { PolicyFields } from "./policy-fields";
import { Method, type MethodKey } from "./method";

const SETTLE_MS = 400;
const LARGEST = 256 * 1024;
const EXAMPLE = "root@web-1.example\nops@192.0.2.7:2222 edge-7\n[2001:db8::7]:22";
const FORMATS: readonly [string, string][] = [
  ["auto", t`Detect automatically`],
  ["lines", t`One server per line`],
  ["csv", t`Table with a header (CSV)`],
  ["ssh_config", t`OpenSSH configuration`],
];
type Format = ListForm["format"];
const WORDS: Record<ServerListView["format"], string> = {
  lines: t`one server per line`,
  csv: t`a table`,
  ssh_config: t`an OpenSSH configuration`,
};

interface ParsedList {
  /** The format and text that were parsed. */
  of: string;
  list: ServerListView;
}

/** The list as the hub parses it, a moment after each change. `fresh`: the result is of the current text. */
function useParsedList(text: string, format: Format): { read: ParsedList | null; failure: string; fresh: boolean } {
  const [read, setRead] = useState<ParsedList | null>(null);
  const [failure, setFailure] = useState("");
  const of = `${format}\n${text}`;
  useEffect(() => {
    setFailure("");
    if (!text.trim()) {
      setRead(null);
      return;
    }
    let outdated = false;
    const parse = async (): Promise<void> => {
      try {
        const list = await previewList({ text, format });
        if (!outdated) setRead({ of, list });
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!outdated) setFailure(error.detail);
      }
    };
    const timer = setTimeout(() => void parse(), SETTLE_MS);
    return () => {
      outdated = true;
      clearTimeout(timer);
    };
  }, [of]);
  return { read, failure, fresh: read?.of === of };
}

interface Props {
  onMethod: (key: MethodKey) => void;
  onStartOver: () => void;
  onClose: () => void;
}

/** The form for a list of servers: the hub parses the pasted list, and one request adds all servers with common credentials. */
export function BulkAdd({ onMethod, onStartOver, onClose }: Props) {
  const { typed, type, left, settle } = useDraft(listDraft, EMPTY_LIST);
  const { text, format, entries } = typed;
  const [wrong, setWrong] = useState<FormErrors>({});
  const [refusal, setRefusal] = useState("");
  const [refused, setRefused] = useState<ReadonlyMap<number, string>>(new Map());
  /** Whether lines with errors are skipped. */
  const [without, setWithout] = useState(false);
  const { form: fields, judged } = useFocusFirstError(wrong);
  const { sending, status, submit } = useSubmit();
  const { read, failure, fresh } = useParsedList(text, format);
  const rows = read?.list.servers ?? [];
  const { good, bad, nameless } = splitRows(rows, entries.username);
  const body = batchBody(good, entries);
  // The same request, sent again after a lost answer, has the same key. A changed request has a new one.
  const key = useMemo(newIdempotencyKey, [JSON.stringify(body)]);
  const ready = fresh && good.length > 0 && (bad === 0 || without);
  /** Which faulty lines keep the button disabled, as a text: the lines may be out of view. Empty = no faulty line does. */
  const hindered =
    !fresh || bad === 0 || (without && good.length)
      ? ""
      : `${bad === 1 ? t`1 line has an error.` : t`${bad} lines have errors.`} ${good.length ? t`Fix the list, or tick “Skip lines with errors”.` : t`Fix the list.`}`;
  const change = (part: Partial<ConnectionForm>): void => {
    type((before) => ({ ...before, entries: { ...before.entries, ...part } }));
    setWrong((before) =>
      Object.fromEntries(Object.entries(before).filter(([name]) => !(name in part) && !("jump" in part && name.startsWith("jump")))),
    );
  };
  useEffect(() => setRefused(new Map()), [read]);
  const anew = (): void => {
    settle();
    onStartOver();
  };
  const send = (): void => {
    const found: FormErrors = {
      ...(nameless
        ? { username: t`${plural(nameless, "server")} on the list ${pluralWord(nameless, "names", "name")} no user: enter one here.` }
        : {}),
      ...signInErrors(entries),
      ...jumpErrors(entries.jump),
    };
    judged();
    setWrong(found);
    setRefusal("");
    setRefused(new Map());
    if (Object.keys(found).length || sending || !ready) return;
    const what = t`Adding ${plural(good.length, "server")}`;
    void submit({
      what,
      send: async () => `/deployments/${await addServers(body, key)}`,
      taken: (path) => {
        settle();
        onClose();
        go(path);
      },
      late: (path) => {
        listDraft.drop(typed);
        toastStarted(what, () => go(path));
      },
      refused: (why, error) => {
        setRefusal(why);
        const refusals = (error.facts["servers"] ?? []) as { index: number; message: string }[];
        setRefused(new Map(refusals.map(({ index, message }) => [rows.indexOf(good[index] as ListedServerView), message])));
      },
      back: (unanswered) => (unanswered ? go(DEPLOYMENTS) : showDialog({ kind: "add" })),
    });
  };
  return (
    <Dialog
      title={t`Add many servers`}
      subtitle={t`Paste a list. Confirm all fingerprints once. Servers are added independently.`}
      icon="server"
      size="wide"
      onClose={onClose}
    >
      <Form formRef={fields} noValidate onSubmit={send}>
        <div class="deploy-form">
          <Method value="many" busy={sending} onPick={onMethod} />
          {left && <DraftBanner onStartOver={anew} />}
          <ActionError text={refusal} />
          <ListField
            text={text}
            format={format}
            onText={(next) => type((before) => ({ ...before, text: next }))}
            onFormat={(next) => type((before) => ({ ...before, format: next }))}
            failure={failure}
          />
          {read && <ParsedRows list={read.list} refused={refused} bad={bad} without={without} onWithout={setWithout} />}
          <div class="halves">
            <UserField
              hint={t`For lines that do not name a user.`}
              value={entries.username}
              wrong={wrong.username}
              onText={(username) => change({ username })}
            />
            <TagsField label={t`Tags for all`} tags={entries.tags} onTags={(tags) => change({ tags })} />
          </div>
          <SignInFields entries={entries} wrong={wrong} onChange={change} />
          <JumpFields
            jump={entries.jump}
            wrong={wrong}
            hint={t`For lines that do not name a jump host.`}
            onJump={(jump) => change({ jump })}
          />
          <Switch
            label={t`Keep credentials`}
            hint={t`Stored encrypted in Ground Control, for updates and removal. Erased when the node is removed.`}
            checked={entries.keep}
            onCheck={(keep) => change({ keep })}
          />
          <div class="halves">
            <SelectField
              label={t`Policy on the servers`}
              value={entries.policy}
              onPick={(policy) => change({ policy: policy as ConnectionForm["policy"] })}
              options={POLICIES}
            />
            <Check checked={entries.installPython} onCheck={(installPython) => change({ installPython })}>
              {t`Install Python where there is none`}
            </Check>
          </div>
          <PolicyFields entries={entries} onChange={change} />
          <ProxyField value={entries.proxy} wrong={wrong.proxy} onText={(proxy) => change({ proxy })} />
        </div>
        <Foot status={status || hindered || t`Next, you confirm all fingerprints at once.`} sending={sending} onClose={onClose}>
          <Button kind="primary" type="submit" busy={sending} disabled={!ready}>
            {good.length ? t`Add ${plural(good.length, "server")}` : t`Add servers`}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}

/** The body of the request: each server with the values of its line, and the values of the form for all servers. */
function batchBody(servers: readonly ListedServerView[], entries: ConnectionForm): ManyDeploymentsBody {
  const {
    private_key,
    passphrase,
    password,
    sudo_password,
    use_hub_key,
    certificate,
    tags,
    keep_credentials,
    install_python,
    policy,
    units,
    journal,
    events,
    proxy,
    jump,
  } = deploymentBody(entries);
  return {
    servers: servers.map(({ host, port, username, name, tags: own, host_key, jump: through }) => ({
      host,
      port,
      username,
      name,
      tags: own,
      host_key,
      ...(through ? { jump: through } : {}),
    })),
    ...(entries.username.trim() ? { username: entries.username.trim() } : {}),
    private_key,
    passphrase,
    password,
    sudo_password,
    ...(use_hub_key ? { use_hub_key } : {}),
    certificate,
    tags,
    keep_credentials,
    install_python,
    policy,
    units,
    journal,
    events,
    ...(proxy ? { proxy } : {}),
    jump,
  } as ManyDeploymentsBody;
}

function ListField({
  text,
  format,
  onText,
  onFormat,
  failure,
}: {
  text: string;
  format: Format;
  onText: (text: string) => void;
  onFormat: (format: Format) => void;
  failure: string;
}) {
  const file = useRef<HTMLInputElement>(null);
  const [refused, setRefused] = useState("");
  const wrongText = refused || failure;
  const give = (list: string): void => {
    setRefused("");
    onText(list);
  };
  const take = async (chosen: File | undefined): Promise<void> => {
    setRefused("");
    if (!chosen) return;
    if (chosen.size > LARGEST) return setRefused(t`This file is larger than 256 KiB: a list of 200 servers is smaller.`);
    const list = await readText(chosen);
    if (list === null) setRefused(UNREADABLE);
    else give(list);
  };
  return (
    <>
      <div class="field">
        <label for="server-list">{t`Servers`}</label>
        <textarea
          id="server-list"
          class="input mono"
          rows={6}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          autofocus
          placeholder={EXAMPLE}
          value={text}
          maxLength={LARGEST}
          aria-describedby={wrongText ? "server-list-wrong" : "server-list-hint"}
          aria-invalid={wrongText ? true : undefined}
          onInput={(event) => give(event.currentTarget.value)}
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            if (!event.dataTransfer?.files.length) return;
            event.preventDefault();
            void take(event.dataTransfer.files[0]);
          }}
        />
        {wrongText ? (
          <p class="wrong" id="server-list-wrong" role="alert">
            {wrongText}
          </p>
        ) : (
          <p class="hint" id="server-list-hint">
            {t`One user@host:port per line, a table with a header, or an OpenSSH configuration. No passwords or keys: enter those below, once for all servers.`}
          </p>
        )}
      </div>
      <div class="halves">
        <SelectField label={t`Format`} value={format} onPick={(picked) => onFormat(picked as Format)} options={FORMATS} />
        <div class="field">
          <span class="label">{t`Or from a file`}</span>
          <div>
            <Button onClick={() => file.current?.click()}>{t`Choose file`}</Button>
          </div>
          <input
            ref={file}
            type="file"
            class="hidden-text"
            aria-label={t`List of servers`}
            tabIndex={-1}
            onChange={(event) => {
              void take(event.currentTarget.files?.[0]);
              event.currentTarget.value = "";
            }}
          />
        </div>
      </div>
    </>
  );
}

interface ParsedRowsProps {
  list: ServerListView;
  /** The hub's refusals when the servers were added, by index in the list. */
  refused: ReadonlyMap<number, string>;
  /** The number of lines with errors, and whether they are skipped. */
  bad: number;
  without: boolean;
  onWithout: (on: boolean) => void;
}

function ParsedRows({ list, refused, bad, without, onWithout }: ParsedRowsProps) {
  const total = list.servers.length;
  return (
    <div class="understood">
      <p role="status">
        <b class="strong">{total ? t`${total - bad} of ${plural(total, "server")} can be added` : t`No servers found`}</b>{" "}
        <span class="t3">{t`read as ${WORDS[list.format]}`}</span>
      </p>
      {list.problems.map(({ line, message }) => (
        <p key={`${line} ${message}`} class="wrong">
          {t`Line ${line}: ${message}`}
        </p>
      ))}
      {total > 0 && (
        <div class="card grid-table list-table" role="table" aria-label={t`Servers on the list`} tabIndex={0}>
          <GridHead labels={[t`State`, t`Line`, t`Server`, t`Name`, t`Jump host`]} unseen={[t`State`]} />
          {list.servers.map((one, at) => (
            <ListRow key={at} one={one} refused={refused.get(at) ?? ""} />
          ))}
        </div>
      )}
      {bad > 0 && total > bad && (
        <Check checked={without} onCheck={onWithout}>
          {t`Skip lines with errors`}
        </Check>
      )}
      {list.notes.map(({ line, message }) => (
        <p key={`${line} ${message}`} class="hint">
          {t`Line ${line}: ${message}`}
        </p>
      ))}
    </div>
  );
}

function ListRow({ one, refused }: { one: ListedServerView; refused: string }) {
  const problems = refused ? [refused] : one.problems.map(({ message }) => message);
  return (
    <div role="row" data-line={one.line} class={problems.length ? "bad" : ""}>
      <Cell>
        <Glyph kind={problems.length ? "fail" : "done"} label={problems.length ? t`cannot be added` : t`can be added`} />
      </Cell>
      <Cell class="t3 num">{one.line}</Cell>
      <Cell head class="mono cut">
        {one.host ? addressText(one) : "—"}
      </Cell>
      <Cell class="cut">{one.name ?? ""}</Cell>
      <Cell class="cut t2">{one.jump ? addressText(one.jump) : ""}</Cell>
      {(problems.length > 0 || one.notes.length > 0 || one.tags.length > 0 || one.host_key) && (
        <Cell class="said">
          {one.tags.length > 0 && <span class="t2">{t`Tags: ${one.tags.join(", ")}`}</span>}
          {one.host_key && <span class="t2">{tElements`Trusted without asking: ${<code class="mono">{one.host_key}</code>}`}</span>}
          {problems.map((words) => (
            <span key={words} class="wrong">
              {words}
            </span>
          ))}
          {one.notes.map((words) => (
            <span key={words} class="t3">
              {words}
            </span>
          ))}
        </Cell>
      )}
    </div>
  );
}
