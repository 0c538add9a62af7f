/** A JSON value in the order its members are printed. @internal */
export type Json = string | number | bigint | boolean | null | readonly Json[] | { readonly [name: string]: Json | undefined }

/** JSON as the reference prints it: four spaces, one member a line, nothing but ASCII. Members that are undefined are left out. @internal */
export function prettyJson(value: Json, indent = 0): string {
  return print(value, (depth) => `\n${' '.repeat(4 * (indent + depth))}`, '', 0)
}

/** JSON in one line, as in `json:` names. @internal */
export function compactJson(value: Json): string {
  return print(value, () => '', ' ', 0)
}

function print(value: Json, line: (depth: number) => string, space: string, depth: number): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value !== 'object' || value === null) return String(value)
  const list = Array.isArray(value)
  const members = list
    ? (value as readonly Json[]).map((member) => print(member, line, space, depth + 1))
    : Object.entries(value).flatMap(([name, member]) => (member === undefined ? [] : [`${quoted(name)}: ${print(member as Json, line, space, depth + 1)}`]))
  const lines = members.map((member) => line(depth + 1) + member).join(`,${space}`)
  return (list ? '[' : '{') + lines + line(depth) + (list ? ']' : '}')
}

const ESCAPES: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function quoted(text: string): string {
  const inner = text.replace(/["\\\u0000-\u001f\u007f-\uffff]/g, (c) => ESCAPES[c] ?? `\\u${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`)
  return `"${inner}"`
}
