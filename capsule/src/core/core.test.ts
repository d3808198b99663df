import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff } from "./backoff";
import { factsOf, listsAreOld, standingOf, type NodeLike } from "./facts";
import { parseFilter, tagFilter, tokensOf, type Filterable } from "./filter";
import { faultOf } from "./filter-fault";
import { withState } from "./filter-state";
import { passwordRules, strength } from "./password";
import { labelled, parseSeries } from "./series";
import { fixFor, leftBehind } from "./steps";
import { age, date, duration, moment, sameDay, short, took } from "./time";
import { count, digits3, network, percent, rate, share, size } from "./units";

test("sizes are binary, rates decimal, both with three digits", () => {
  assert.equal(size(0), "0\u00a0B");
  assert.equal(size(1536), "1.50\u00a0KiB");
  assert.equal(size(128 * 2 ** 30), "128\u00a0GiB");
  assert.equal(rate(8_400_000), "8.40\u00a0MB/s");
  assert.equal(rate(999_900), "1.00\u00a0MB/s");
  assert.deepEqual([network(8_400_000, false), network(8_400_000, true), network(8_400_000, true, true), network(124.99, true), network(null, true)], ["8.40\u00a0MB/s", "67.2\u00a0Mbit/s", "67.2\u00a0Mbit", "1.00\u00a0kbit/s", "—"]);
  assert.equal(digits3(9.996), "10.0");
  assert.equal(digits3(99.96), "100");
});

test("what is not known is a dash, never 0", () => {
  for (const said of [size(null), rate(undefined), percent(null), count(null)]) assert.equal(said, "—");
  assert.equal(share(5, 0), null);
  assert.equal(share(null, 5), null);
});

test("durations have two parts at most", () => {
  assert.equal(duration(0.42), "0.4\u00a0s");
  assert.deepEqual([duration(0), duration(0.04), age(0)], Array(3).fill("0\u00a0s"));
  assert.deepEqual([took(10, null, 13.4), took(10, 13.4, 99)], ["3\u00a0s", "3.4\u00a0s"]);
  assert.equal(duration(372), "6\u00a0min 12\u00a0s");
  assert.equal(duration(3600), "1\u00a0h");
  assert.equal(age(8_040), "2\u00a0h 14\u00a0min");
  assert.equal(age(142 * 86400 + 6 * 3600 + 59), "142\u00a0d 6\u00a0h");
  assert.equal(short(400_000), "4\u00a0d");
});

test("a day of another year is another day, and says its year", () => {
  const at = (year: number, month: number, day: number): number => new Date(year, month, day, 14, 5).getTime() / 1000;
  const now = at(2026, 10, 22);
  assert.equal(moment(now, now), "14:05");
  assert.equal(moment(at(2026, 10, 21), now), "21\u00a0Nov, 14:05");
  assert.equal(moment(at(2025, 10, 22), now), "22\u00a0Nov\u00a02025, 14:05");
  assert.equal(date(at(2027, 0, 1), now), "1\u00a0Jan\u00a02027");
  assert.ok(sameDay(now, now + 60));
  assert.ok(!sameDay(at(2025, 10, 22), now));
});

test("series are read with and without a label", () => {
  assert.deepEqual(parseSeries("filesystem.used{mount=/var/lib}"), { metric: "filesystem.used", label: "mount", value: "/var/lib" });
  assert.deepEqual(parseSeries("load.1"), { metric: "load.1", label: "", value: "" });
  assert.equal(parseSeries("nonsense{"), null);
  assert.deepEqual([...labelled({ "cpu.core{core=0}": { value: 1, at: 1 }, "cpu.cores": { value: 1, at: 1 } }, "cpu.core").keys()], ["0"]);
});

const sample = (value: number | null, at = 100): { value: number | null; at: number } => ({ value, at });
const node = (latest: NodeLike["latest"], state: NodeLike["state"] = "online"): NodeLike => ({ state, latest, identity: { cpu_cores: 4 }, last_seen_at: 100, updates: { total: 0, checked_at: 50 } });

test("a row's facts come from a summary and from all series alike", () => {
  const whole = factsOf(
    node({
      "cpu.total": sample(12),
      "memory.used": sample(1),
      "memory.total": sample(4),
      "filesystem.used{mount=/}": sample(5),
      "filesystem.size{mount=/}": sample(10),
      "filesystem.used{mount=/srv}": sample(9),
      "filesystem.size{mount=/srv}": sample(10),
      "network.received{interface=eth0}": sample(3),
      "network.received{interface=eth1}": sample(4),
      "network.received{interface=lo}": sample(100),
      "temperature{sensor=a}": sample(40),
      "temperature{sensor=b}": sample(60),
    }),
  );
  assert.deepEqual([whole.memory, whole.disk, whole.mount, whole.received, whole.temperature], [25, 90, "/srv", 7, 60]);
  assert.equal(factsOf(node({ "network.received": sample(7) })).received, 7);
  const later = { ...node({ "cpu.total": sample(13, 101), "memory.used": sample(2), "memory.total": sample(4), "network.received": sample(null) }) };
  const carried = factsOf(later, whole);
  assert.deepEqual([carried.cpu, carried.at, carried.memory, carried.disk, carried.mount, carried.received, carried.temperature], [13, 101, 50, 90, "/srv", null, 60]);
});

test("standing: worst first, stale after five seconds, offline as the hub says", () => {
  const at = (latest: NodeLike["latest"], now = 100, state: NodeLike["state"] = "online"): string => standingOf(node(latest, state), factsOf(node(latest, state)), now);
  assert.equal(at({ "cpu.total": sample(10) }), "ok");
  assert.equal(at({ "cpu.total": sample(85) }), "warn");
  assert.equal(at({ "cpu.total": sample(93) }), "crit");
  assert.equal(at({ "cpu.total": sample(93) }, 106), "stale");
  assert.equal(at({ "cpu.total": sample(93) }, 106, "offline"), "off");
  assert.equal(at({ "cpu.total": sample(null) }), "ok");
  const back: NodeLike = { ...node({ "cpu.total": sample(10) }, "offline"), reconnecting: true };
  assert.equal(standingOf(back, factsOf(back), 100), "stale");
});

test("no updates by lists that are old or missing are a worry, and not knowing is none", () => {
  const week = 7 * 86_400;
  for (const [total, checked_at, old] of [[0, 50, false], [0, null, true], [3, null, true], [null, null, false], [0, 50 - week, true]] as const) {
    assert.equal(listsAreOld({ total, checked_at }, 100), old);
    const one = { ...node({ "cpu.total": sample(10) }), updates: { total, checked_at } };
    assert.equal(standingOf(one, factsOf(one), 100), old ? "warn" : "ok");
  }
});

const row: Filterable = { name: "web-03", address: "10.20.0.23", tags: ["Production", "web"], os: "debian Debian 12", state: "critical", cpu: 98, memory: 91, disk: 41, load: 19, updates: 4, security: null };
const fits = (text: string): boolean => parseFilter(text).matches(row);

test("the filter knows words, keys, comparisons and their opposite", () => {
  for (const yes of ["", "web", "10.20", "WEB-03", "tag:production", "state:critical", "state:online", "os:debian", "cpu>80", "mem>=91", "disk<50%", "updates>0", "-tag:ci web", "cpu>80 memory>90"]) assert.ok(fits(yes), yes);
  for (const no of ["db", "tag:prod", "state:offline", "cpu<80", "security>0", "-web", "-state:critical"]) assert.ok(!fits(no), no);
});

test("a number is compared as exactly as it was asked for", () => {
  const measured = { ...row, cpu: 50.6, load: 0.704, updates: 4 };
  const found = (text: string): boolean => parseFilter(text).matches(measured);
  for (const yes of ["cpu=51", "cpu=51%", "cpu=50.6", "load=1", "load=0.7", "load=0.70", "updates=4", "cpu>50.5", "-cpu=50"]) assert.ok(found(yes), yes);
  for (const no of ["cpu=50", "cpu=50.5", "load=0.71", "updates=5", "security=0"]) assert.ok(!found(no), no);
  assert.notEqual(parseFilter(`cpu=50.6${"0".repeat(300)}`).wrong, "");
});

test("a filter is understood with blanks round its operators, with quotes and with addresses", () => {
  for (const yes of ["cpu > 80", "web cpu >80 memory> 90", "os: debian", 'os:"Debian 12"', "os:“debian 12”", 'os:"debian 1', 'tag:"web" "web-03"', "tag=web", "-os: arch", "-cpu < 80"]) assert.ok(fits(yes), yes);
  for (const no of ["cpu > 99", 'os:"arch linux"', '"web 03"', '"cpu > 80"', "-cpu > 80", "web fe80::1", "cafe:1"]) assert.ok(!fits(no), no);
  for (const text of ["cpu > 80", 'os:"arch linux"', '"cpu > 80"', "fe80::1 ::1", "cafe:1", "-"]) assert.equal(parseFilter(text).wrong, "", text);
  assert.deepEqual(tokensOf('web os:"a b'), ["web", 'os:"a b"']);
  assert.deepEqual(tokensOf('  state: warning  updates > 0 -os:"arch  linux" web '), ["state:warning", "updates>0", '-os:"arch  linux"', "web"]);
});

test("a tag with quotes in it is found by what its link asks for", () => {
  for (const tag of ['a"b', '"a"', 'a"b c"d', "“x”", "two words", 'a"b c', "a=b", "web"]) {
    assert.ok(parseFilter(tagFilter(tag)).matches({ ...row, tags: [tag] }), tag);
    assert.ok(!parseFilter(tagFilter(tag)).matches({ ...row, tags: ["other"] }), tag);
  }
  assert.equal(tagFilter("web"), "tag:web");
  assert.ok(!parseFilter('tag:a"b').matches({ ...row, tags: ["a", "b"] }));
});

test("a key that nobody knows is a word, and never all there is", () => {
  const tagged: Filterable = { ...row, tags: ["env:prod"] };
  for (const text of ["env:prod", '"env:prod"', "ENV: prod", "-env:test"]) assert.ok(parseFilter(text).matches(tagged), text);
  for (const text of ["env:test", "name:web", "-env:prod", "ip=10.0.0.1"]) assert.ok(!parseFilter(text).matches(tagged), text);
  assert.equal(parseFilter('"env:prod"').wrong, "");
});

test("the menu of states asks for one in place of every other, however that is written", () => {
  const picked = (text: string, state: string): string => withState(tokensOf(text), state).join(" ");
  for (const text of ["state:offline", "state=warning", "State: Offline", 'STATE="stale" state:offline']) {
    assert.equal(picked(`web ${text} cpu>80`, "critical"), "web cpu>80 state:critical", text);
    assert.equal(picked(text, ""), "", text);
  }
  assert.equal(picked('stateless tag:state os:"a state:b"', "stale"), 'stateless tag:state os:"a state:b" state:stale');
});

test("what the filter does not understand is said in words", () => {
  const said = (text: string): string => faultOf(parseFilter(text).wrong);
  for (const text of ["cpu>", "web cpu > much", "-mem<>3"]) assert.match(said(text), /needs a number/, text);
  for (const text of ["foo>3", ">80", "tag > 3", "web-0>3"]) assert.match(said(text), /cannot be compared: use cpu, memory, disk/, text);
  for (const text of ["name:vm", "-name: vm", "name:", "ip=10.0.0.1", "constructor:x"]) assert.match(said(text), /is not a key, so “.+” is searched as text. Keys are tag, state and os, and cpu, memory, disk/, text);
  assert.match(said("state:fine"), /“fine” is not a state/);
  for (const text of ["tag:", 'os:""', "state:"]) assert.match(said(text), /needs a value/, text);
  assert.match(said("cpu:80"), /needs a comparison: use cpu>80/);
  for (const text of ["cpu>", "-foo>3", "state:fine", "tag:", "cpu:80", "web >80"]) assert.ok(fits(text), text); // what is not understood leaves nothing out
  assert.equal(parseFilter("web cpu>3").wrong, "");
});

test("waits grow to fifteen seconds, each with jitter", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 50].map((attempt) => Number(backoff(attempt, 0.999999999).toFixed(3))), [0.5, 1, 2, 4, 8, 15, 15]);
  assert.equal(backoff(5, 0), 7.5);
});

test("each failure that one field mends names it", () => {
  assert.equal(fixFor("sudo_password_wrong"), "sudo_password");
  assert.equal(fixFor("key_encrypted"), "passphrase");
  assert.equal(fixFor("port_closed"), "port");
  assert.equal(fixFor("no_session"), null);
});

test("what a failed installation left is said only where its steps prove it", () => {
  const ended = (code: string, ...steps: [string, string, string?][]): string => leftBehind({ error: code ? { code } : null, steps: steps.map(([name, state, detail = ""]) => ({ name, state, detail })) });
  const back = "everything was taken back: the server is as before";
  assert.match(ended("no_sudo", ["connect", "done", "192.0.2.1"], ["become_root", "failed"], ["probe", "skipped"]), /changed nothing/);
  assert.match(ended("no_space", ["become_root", "done"], ["probe", "failed"], ["upload", "skipped"]), /changed nothing/);
  assert.match(ended("", ["connect", "failed"], ["upload", "skipped"]), /changed nothing/);
  assert.match(ended("start_failed", ["install", "done"], ["start", "failed", back]), /has been undone/);
  assert.match(ended("python3_install_failed", ["probe", "failed", back]), /has been undone/);
  assert.equal(ended("hub_stopped", ["connect", "failed"]), "");
  assert.equal(ended("hub_stopped", ["install", "failed"]), "");
  assert.equal(ended("uninstall_failed", ["probe", "failed", "clearing away what an earlier installation left"]), "");
  assert.equal(ended("connection_lost", ["probe", "done"], ["upload", "failed"]), "");
});

test("a password must be long, one's own, and typed twice alike", () => {
  assert.deepEqual(passwordRules("correct horse", "correct horse", "admin", "admin"), { long: true, ownWords: true, match: true });
  assert.equal(passwordRules("admin", "admin", "admin", "admin").ownWords, false);
  for (const guessable of ["adminadminadmin", "password1234", "stardust123456", "Ground Control 1", "margarethe99", "abababababab"]) assert.equal(passwordRules(guessable, "", "margarethe", "").ownWords, false, guessable);
  for (const fine of ["stardust over the hill", "x-password-wolf"]) assert.equal(passwordRules(fine, "", "al", "").ownWords, true, fine);
  assert.ok(strength("aaaaaaaaaaaaaaaaaaaa") < strength("correct horse battery"));
});
