import assert from "node:assert/strict";
import { test } from "node:test";
import { scriptFailures } from "./script-failure";

test("the words of a maintainer script stand before dpkg's report about it", () => {
  const output = `Setting up lab-db (2.0) ...\r
\u001b[31mlab-db: cannot migrate the database\u001b[0m\r
dpkg: error processing package lab-db (--configure):\r
 installed lab-db package post-installation script subprocess returned error exit status 1\r
Setting up lab-mute:amd64 (1.0) ...\r
dpkg: error processing package lab-mute:amd64 (--configure):\r
 installed lab-mute:amd64 package post-installation script subprocess returned error exit status 1\r
Errors were encountered while processing:\r
 lab-db\r
E: Sub-process /usr/bin/dpkg returned an error code (1)\r
`;
  assert.deepEqual(scriptFailures(output), [
    { package: "lab-db", cause: "lab-db: cannot migrate the database" },
    { package: "lab-mute", cause: "" },
  ]);
});

test("rpm names the package with its version", () => {
  const output =
    "  Running scriptlet: lab-post-2.0-1.lab.noarch\nno space for the index\nwarning: %post(lab-post-2.0-1.lab.noarch) scriptlet failed, exit status 1\n";
  assert.deepEqual(scriptFailures(output), [{ package: "lab-post", cause: "no space for the index" }]);
  assert.deepEqual(scriptFailures("warning: %post(sd-fail-0:2-1.noarch) scriptlet failed, exit status 3"), [
    { package: "sd-fail", cause: "" },
  ]);
});

test("output without a failed script has none, and a hostile line is cut", () => {
  assert.deepEqual(scriptFailures("Setting up curl (7.88) ...\ndone\n"), []);
  const [one] = scriptFailures(`${"x".repeat(5000)}\ndpkg: error processing package a (--configure):`);
  assert.equal(one?.cause.length, 200);
});
