/** Makes the form fields of a kind of channel from the JSON schema of its target, and the target from the typed values. */

import { t } from "../text";

export interface TargetField {
  /** The names of the properties, for example `smtp.host`. */
  path: string;
  label: string;
  hint: string;
  kind: "text" | "number" | "list" | "choice";
  choices: readonly string[];
  secret: boolean;
  required: boolean;
  /** The hub's value for an empty field; empty if it has none. */
  otherwise: string;
  /** The least and the greatest number; null = no limit. */
  least: number | null;
  most: number | null;
}

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  enum?: unknown[];
  writeOnly?: boolean;
  title?: string;
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
}

const resolveRef = (schema: Schema, defs: Record<string, Schema>): Schema =>
  schema.$ref ? resolveRef(defs[schema.$ref.split("/").pop() ?? ""] ?? {}, defs) : schema;

export function targetFields(given: Readonly<Record<string, unknown>>): TargetField[] {
  const root = given as Schema;
  const defs = root.$defs ?? {};
  const walk = (schema: Schema, before: string, needed: boolean): TargetField[] => {
    const { properties = {}, required = [] } = resolveRef(schema, defs);
    return Object.entries(properties).flatMap(([name, raw]) => {
      const path = before + name;
      const one = resolveRef(raw, defs);
      const must = needed && required.includes(name);
      if (one.properties) return walk(one, `${path}.`, must);
      const choices = (one.enum ?? one.anyOf?.find((other) => other.enum)?.enum ?? []).map(String);
      const number = one.type === "integer" ? one : one.anyOf?.find((other) => other.type === "integer");
      const otherwise = typeof one.default === "string" || typeof one.default === "number" ? String(one.default) : "";
      return [
        {
          path,
          label: raw.title ?? name,
          hint: raw.description ?? "",
          kind: choices.length
            ? ("choice" as const)
            : one.type === "array"
              ? ("list" as const)
              : number
                ? ("number" as const)
                : ("text" as const),
          choices,
          secret: raw.writeOnly === true || one.writeOnly === true,
          required: must,
          otherwise,
          least: number?.minimum ?? null,
          most: number?.maximum ?? null,
        },
      ];
    });
  };
  return walk(root, "", true);
}

const MOST_URL_CHARS = 2000;

/** What is wrong with the text of a field, before anything is sent; empty = nothing that the page can tell, or no text yet. */
export function targetError({ path, kind, least, most }: Pick<TargetField, "path" | "kind" | "least" | "most">, typed: string): string {
  const text = typed.trim();
  if (!text) return "";
  if (path === "url" || path === "server") {
    if (!/^https?:\/\/(?:[^\s/?#@]*@)?(?:\[[\da-f:.]+\]|[^\s/?#@:[\]]+)/i.test(text))
      return t`Not a web address. It begins with https:// or http://.`;
    if (!/^[!-~]+$/.test(text)) return t`An address has no spaces and no letters beyond ASCII.`;
    return text.length > MOST_URL_CHARS ? t`At most ${MOST_URL_CHARS} characters.` : "";
  }
  if (kind === "number") {
    if (!/^-?\d+$/.test(text)) return t`A whole number.`;
    if (least !== null && most !== null && (Number(text) < least || Number(text) > most)) return t`${least} to ${most}`;
    return "";
  }
  if (path === "smtp.host") return /[\s/@]/.test(text) ? t`The name or address of a server alone, such as mail.example.org.` : "";
  if (path === "to" || path === "from") {
    const parts = path === "to" ? text.split(",").map((part) => part.trim()) : [text];
    const wrong = parts.find((part) => part && !/^[^@\s]+@[^@\s]+$|<[^@\s]+@[^@\s]+>$/.test(part));
    return wrong === undefined ? "" : t`“${wrong}” is no mail address.`;
  }
  return "";
}

/** Whether all required fields have a value, and none is wrong. */
export const targetComplete = (fields: readonly TargetField[], typed: Readonly<Record<string, string>>): boolean =>
  fields.every((field) => (!field.required || (typed[field.path] ?? "").trim() !== "") && !targetError(field, typed[field.path] ?? ""));

/** The target in the hub's form, without empty fields. A number that is invalid is sent as text, and the hub refuses it. */
export function targetOf(fields: readonly TargetField[], typed: Readonly<Record<string, string>>): Record<string, unknown> {
  const target: Record<string, unknown> = {};
  for (const { path, kind } of fields) {
    const text = (typed[path] ?? "").trim();
    if (!text) continue;
    const names = path.split(".");
    const last = names.pop() ?? "";
    let parent = target;
    for (const name of names) parent = (parent[name] ??= {}) as Record<string, unknown>;
    parent[last] =
      kind === "number" && /^-?\d+$/.test(text) ? Number(text) : kind === "list" ? text.split(/[\s,;]+/).filter(Boolean) : text;
  }
  return target;
}
