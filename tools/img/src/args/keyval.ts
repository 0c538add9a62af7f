import { Failure } from '../failure.ts'

/** One `name=value` of an option list. @internal */
export interface KeyValue {
  readonly name: string
  readonly value: string
  /** Written without `=`: `lazy_refcounts` or `nolazy_refcounts`. */
  readonly short: boolean
}

/** Takes `a=1,b=x,,y,c` apart; a comma in a value is doubled. @internal */
export function parseKeyValues(text: string): KeyValue[] {
  return splitCommas(text).map((part) => {
    const equals = part.indexOf('=')
    // Only values know doubled commas, but a name with a comma is as unknown as one with two.
    if (equals >= 0) return { name: part.slice(0, equals), value: part.slice(equals + 1), short: false }
    if (part.startsWith('no')) return { name: part.slice(2), value: 'off', short: true }
    return { name: part, value: 'on', short: true }
  })
}

function splitCommas(text: string): string[] {
  const parts: string[] = []
  let part = ''
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== ',') part += text[i]
    else if (text[i + 1] === ',') part += text[i++]
    else {
      parts.push(part)
      part = ''
    }
  }
  if (part !== '') parts.push(part)
  return parts
}

/** The `-o` options of a command line, gathered. @internal */
export class OptionList {
  readonly #lists: string[] = []

  /** @throws Failure if the list is empty, or begins or ends with a comma */
  add(list: string): void {
    if (list === '' || list.startsWith(',') || list.endsWith(',')) throw new Failure(`Invalid option list: ${list}`)
    this.#lists.push(list)
  }

  get given(): boolean {
    return this.#lists.length > 0
  }

  /** `-o help` or `-o '?'`, alone or among others. */
  get asksForHelp(): boolean {
    return this.#lists.some((list) => splitCommas(list).some((part) => part === 'help' || part === '?'))
  }

  /** Later values replace earlier ones. */
  values(): Map<string, string> {
    return new Map(this.#lists.flatMap((list) => parseKeyValues(list).map(({ name, value }) => [name, value] as const)))
  }
}
