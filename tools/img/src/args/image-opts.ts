import { parseKeyValues } from './keyval.ts'

/** Image options of `--image-opts`, as the name that opens the same: `json:{...}`. @internal */
export function imageOptionsName(text: string, warn: (message: string) => void): string {
  const spec: Record<string, string> = {}
  for (const { name, value, short } of parseKeyValues(text)) {
    if (short) warn(`short-form boolean option '${value === 'off' ? `no${name}` : name}' deprecated\nPlease use ${name}=${value} instead`)
    spec[name] = value
  }
  // A file name says enough: it is a file.
  for (const name of Object.keys(spec)) {
    if (name.endsWith('.filename')) spec[`${name.slice(0, -'filename'.length)}driver`] ??= 'file'
  }
  return `json:${JSON.stringify(spec)}`
}
