import type { Json } from './json.ts'

/**
 * Driver-specific facts as indented text: names with spaces for dashes, members of lists numbered.
 *
 * @internal
 */
export function specificInfo(value: Json, indent: number): string {
  if (typeof value !== 'object' || value === null) return `${String(value)}\n`
  const pad = ' '.repeat(indent * 4)
  const members: [string, Json][] = Array.isArray(value)
    ? value.map((member: Json, i): [string, Json] => [`[${i}]`, member])
    : Object.entries(value).flatMap(([name, member]) => (member === undefined ? [] : [[name.replaceAll('-', ' '), member as Json]]))
  return members
    .map(([name, member]) => {
      const nested = typeof member === 'object' && member !== null
      return `${pad}${name}:${nested ? '\n' : ' '}${specificInfo(member, indent + 1)}`
    })
    .join('')
}
