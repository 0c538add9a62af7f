/** The naive model: disjoint, ascending intervals of granules `[from, to)`. Slow and plain. */
export class IntervalModel {
  intervals: [number, number][] = []

  set(from: number, to: number): void {
    if (from >= to) return
    const apart = this.intervals.filter(([a, b]) => b < from || a > to)
    const joined = this.intervals.filter(([a, b]) => !(b < from || a > to))
    const start = Math.min(from, ...joined.map(([a]) => a))
    const end = Math.max(to, ...joined.map(([, b]) => b))
    this.intervals = [...apart, [start, end] as [number, number]].sort((x, y) => x[0] - y[0])
  }

  reset(from: number, to: number): void {
    if (from >= to) return
    this.intervals = this.intervals.flatMap(([a, b]): [number, number][] => {
      const kept: [number, number][] = []
      if (a < Math.min(b, from)) kept.push([a, Math.min(b, from)])
      if (Math.max(a, to) < b) kept.push([Math.max(a, to), b])
      return kept
    })
  }

  has(index: number): boolean {
    return this.intervals.some(([a, b]) => a <= index && index < b)
  }

  get count(): number {
    return this.intervals.reduce((sum, [a, b]) => sum + (b - a), 0)
  }

  nextSet(from: number): number | null {
    for (const [a, b] of this.intervals) if (b > from) return Math.max(a, from)
    return null
  }

  nextUnset(from: number, length: number): number | null {
    let at = from
    for (const [a, b] of this.intervals) if (a <= at && at < b) at = b
    return at < length ? at : null
  }
}
