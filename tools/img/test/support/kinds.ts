/** `map --output=json` without the places of data, which depend on the order of writes; neighbours of one kind merged. */
export function kindsOf(json: string): string {
  const runs: { start: number; length: number; kind: string }[] = []
  for (const { start, length, depth, present, zero, data } of JSON.parse(json) as { start: number; length: number; depth: number; present: boolean; zero: boolean; data: boolean }[]) {
    const kind = `depth ${depth}${present ? '' : ' absent'}${zero ? ' zero' : ''}${data ? ' data' : ''}`
    const last = runs.at(-1)
    if (last?.kind === kind) last.length += length
    else runs.push({ start, length, kind })
  }
  return runs.map(({ start, length, kind }) => `${start}+${length} ${kind}\n`).join('')
}
