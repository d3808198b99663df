import assert from "node:assert/strict";
import { test } from "node:test";
import { type Filterable, parseFilter, tagFilter, tokensOf, withState } from "./filter";
import { filterError } from "./filter-error";

const row: Filterable = {
  name: "web-03",
  address: "10.20.0.23",
  tags: ["Production", "web"],
  os: "debian Debian 12",
  kernel: "6.1.0-18-amd64",
  location: "home",
  revision: "1a2b3c4d #42",
  patch: "nights at 02:30",
  agent: "1.4.2",
  note: "Marie’s, do not reboot",
  reboot: "yes",
  failed: 2,
  state: "critical",
  health: "critical",
  findings: ["filesystem", "reboot_due"],
  cpu: 98,
  memory: 91,
  disk: 41,
  load: 19,
  updates: 4,
  security: null,
};
const fits = (text: string): boolean => parseFilter(text).matches(row);

test("the filter accepts words, keys, comparisons and their negation", () => {
  for (const yes of [
    "",
    "web",
    "10.20",
    "WEB-03",
    "tag:production",
    "state:critical",
    "state:online",
    "health:critical",
    "finding:filesystem",
    "-finding:offline",
    "os:debian",
    "cpu>80",
    "mem>=91",
    "disk<50%",
    "updates>0",
    "-tag:ci web",
    "cpu>80 memory>90",
  ])
    assert.ok(fits(yes), yes);
  for (const no of ["db", "tag:prod", "state:offline", "health:warning", "finding:file", "cpu<80", "security>0", "-web", "-state:critical"])
    assert.ok(!fits(no), no);
});

test("reboots, failed units, broken packages and what optional columns show are filters", () => {
  for (const yes of [
    "reboot:yes",
    "-reboot:no",
    "kernel:6.1",
    "agent:1.4",
    "address:10.20",
    "location:home",
    "revision:1a2b",
    "revision:#42",
    "patch:nights",
    "-patch:none",
    "note:marie",
    "failed>0",
    "failed:>0",
    "failed:>=2",
    "failed=2",
    "-state:broken",
  ])
    assert.ok(fits(yes), yes);
  for (const no of ["reboot:unknown", "kernel:5", "agent:1.5", "address:10.21", "location:work", "note:web", "failed:>2", "state:broken"])
    assert.ok(!fits(no), no);
  assert.ok(parseFilter("state:broken").matches({ ...row, findings: ["packages_broken"] }));
  for (const text of ["failed:>0", "reboot:yes", "note: marie"]) assert.equal(parseFilter(text).wrong, "", text);
  assert.match(filterError(parseFilter("reboot:maybe").wrong), /“maybe” is not an answer: use yes, no, unknown/);
});

test("a number is compared with the precision of the filter", () => {
  const measured = { ...row, cpu: 50.6, load: 0.704, updates: 4 };
  const found = (text: string): boolean => parseFilter(text).matches(measured);
  for (const yes of ["cpu=51", "cpu=51%", "cpu=50.6", "load=1", "load=0.7", "load=0.70", "updates=4", "cpu>50.5", "-cpu=50"])
    assert.ok(found(yes), yes);
  for (const no of ["cpu=50", "cpu=50.5", "load=0.71", "updates=5", "security=0"]) assert.ok(!found(no), no);
  assert.notEqual(parseFilter(`cpu=50.6${"0".repeat(300)}`).wrong, "");
});

test("a filter may have blanks around operators, quotes and addresses", () => {
  for (const yes of [
    "cpu > 80",
    "web cpu >80 memory> 90",
    "os: debian",
    'os:"Debian 12"',
    "os:“debian 12”",
    'os:"debian 1',
    'tag:"web" "web-03"',
    "tag=web",
    "-os: arch",
    "-cpu < 80",
  ])
    assert.ok(fits(yes), yes);
  for (const no of ["cpu > 99", 'os:"arch linux"', '"web 03"', '"cpu > 80"', "-cpu > 80", "web fe80::1", "cafe:1"])
    assert.ok(!fits(no), no);
  for (const text of ["cpu > 80", 'os:"arch linux"', '"cpu > 80"', "fe80::1 ::1", "cafe:1", "-"])
    assert.equal(parseFilter(text).wrong, "", text);
  assert.deepEqual(tokensOf('web os:"a b'), ["web", 'os:"a b"']);
  assert.deepEqual(tokensOf('  state: warning  updates > 0 -os:"arch  linux" web '), [
    "state:warning",
    "updates>0",
    '-os:"arch  linux"',
    "web",
  ]);
});

test("a tag with quotes in it is found by the filter of its link", () => {
  for (const tag of ['a"b', '"a"', 'a"b c"d', "“x”", "two words", 'a"b c', "a=b", "web"]) {
    assert.ok(parseFilter(tagFilter(tag)).matches({ ...row, tags: [tag] }), tag);
    assert.ok(!parseFilter(tagFilter(tag)).matches({ ...row, tags: ["other"] }), tag);
  }
  assert.equal(tagFilter("web"), "tag:web");
  assert.ok(!parseFilter('tag:a"b').matches({ ...row, tags: ["a", "b"] }));
});

test("an unknown key is searched as a word, and does not match everything", () => {
  const tagged: Filterable = { ...row, tags: ["env:prod"] };
  for (const text of ["env:prod", '"env:prod"', "ENV: prod", "-env:test"]) assert.ok(parseFilter(text).matches(tagged), text);
  for (const text of ["env:test", "name:web", "-env:prod", "ip=10.0.0.1"]) assert.ok(!parseFilter(text).matches(tagged), text);
  assert.equal(parseFilter('"env:prod"').wrong, "");
});

test("the menu of states replaces every state in the filter, in any spelling", () => {
  const picked = (text: string, state: string): string => withState(tokensOf(text), state).join(" ");
  for (const text of ["state:offline", "state=warning", "State: Offline", 'STATE="stale" state:offline']) {
    assert.equal(picked(`web ${text} cpu>80`, "critical"), "web cpu>80 state:critical", text);
    assert.equal(picked(text, ""), "", text);
  }
  assert.equal(picked('stateless tag:state os:"a state:b"', "stale"), 'stateless tag:state os:"a state:b" state:stale');
});

test("an invalid filter has an error text", () => {
  const said = (text: string): string => filterError(parseFilter(text).wrong);
  for (const text of ["cpu>", "web cpu > much", "-mem<>3"]) assert.match(said(text), /needs a number/, text);
  for (const text of ["foo>3", ">80", "tag > 3", "web-0>3"]) assert.match(said(text), /cannot be compared: use cpu, memory, disk/, text);
  for (const text of ["name:vm", "-name: vm", "name:", "ip=10.0.0.1", "constructor:x"])
    assert.match(
      said(text),
      /is not a key, so “.+” is searched as text. Keys are tag, state, health, finding, reboot, os, kernel, agent, address, location, revision, patch, note, and cpu, memory, disk/,
      text,
    );
  assert.match(said("state:fine"), /“fine” is not a state/);
  assert.match(said("health:fine"), /“fine” is not a level: use critical, warning/);
  for (const text of ["tag:", 'os:""', "state:", "finding:"]) assert.match(said(text), /needs a value/, text);
  assert.match(said("cpu:80"), /needs a comparison: use cpu>80/);
  for (const text of ["cpu>", "-foo>3", "state:fine", "tag:", "cpu:80", "web >80"]) assert.ok(fits(text), text); // an invalid part excludes nothing
  assert.equal(parseFilter("web cpu>3").wrong, "");
});
