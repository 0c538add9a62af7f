import { compactJson, type Json } from './json.ts'

/** A node's name as the reference shows it: spaces in `json:` names, and no `file:` in front of a plain one. @internal */
export function shownName(filename: string): string {
  if (!filename.startsWith('json:')) return filename
  try {
    return `json:${compactJson(JSON.parse(filename.slice('json:'.length)) as Json)}`
  } catch {
    return filename
  }
}
