const UNITS = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

/** `196 KiB`: three significant digits, and the next unit from 1000 on. @internal */
export function humanSize(bytes: number): string {
  let unit = 0
  // Below 1000 of a unit, so that three digits do.
  while (unit < UNITS.length - 1 && bytes / 1024 ** unit >= 1000) unit++
  return `${significant(bytes / 1024 ** unit)} ${UNITS[unit]!}B`
}

/** printf's `%0.3g`. */
function significant(value: number): string {
  const text = value.toPrecision(3)
  if (!text.includes('e')) return String(Number(text))
  return text.replace(/^(\d)\.?(\d*?)0*e\+?(-?)(\d+)$/, (_all, first: string, rest: string, sign: string, exponent: string) => {
    return `${first}${rest === '' ? '' : `.${rest}`}e${sign === '' ? '+' : '-'}${exponent.padStart(2, '0')}`
  })
}
