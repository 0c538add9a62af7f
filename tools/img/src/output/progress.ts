import type { Host } from '../host.ts'
import { fixed2 } from './fixed.ts'
import { humanSize } from './human-size.ts'

/** Shows how far a long operation is. Amounts are bytes. @internal */
export interface Progress {
  update(done: number, total: number): void
  /** Nothing more comes; the line is given back to others. */
  end(): void
}

/** `none`; `text`: as the reference, or a bar where standard output is a terminal; `json`: one object a line. @internal */
export type ProgressStyle = 'none' | 'text' | 'json'

/** @param step - least change in per cent that is shown as text @internal */
export function createProgress(host: Host, style: ProgressStyle, step: number): Progress {
  if (style === 'none') return { update: () => undefined, end: () => undefined }
  if (style === 'json') return jsonProgress(host)
  return host.columns === undefined ? plainProgress(host, step) : barProgress(host, host.columns)
}

const share = (done: number, total: number): number => (total === 0 ? 100 : Math.min(100, (done / total) * 100))

function plainProgress(host: Host, step: number): Progress {
  let shown = -Infinity
  return {
    update(done, total) {
      const percent = share(done, total)
      if (percent - shown < step && (percent < 100 || shown === 100)) return
      shown = percent
      host.out(`    (${fixed2(percent)}/100%)\r`)
    },
    end: () => host.out('\n'),
  }
}

/** Times between two lines, milliseconds. */
const JSON_PERIOD = 200
const BAR_PERIOD = 100

/** Calls `show` for the first and the last step, and at most once a period in between. */
function paced(host: Host, period: number, show: (done: number, total: number, elapsed: number) => void): Progress['update'] {
  const started = host.now()
  let last = -Infinity
  let finished = false
  return (done, total) => {
    const now = host.now()
    const complete = done >= total
    if (finished || (!complete && now - last < period)) return
    finished = complete
    last = now
    show(done, total, now - started)
  }
}

function jsonProgress(host: Host): Progress {
  return {
    update: paced(host, JSON_PERIOD, (done, total, elapsed) => {
      const { speed, left } = estimate(elapsed, done, total)
      host.out(`${JSON.stringify({ done, total, percent: Math.round(share(done, total) * 100) / 100, bytesPerSecond: Math.round(speed), secondsLeft: left === null ? null : Math.round(left * 10) / 10 })}\n`)
    }),
    end: () => undefined,
  }
}

const MAX_BAR_CHARS = 30

function barProgress(host: Host, columns: number): Progress {
  return {
    update: paced(host, BAR_PERIOD, (done, total, elapsed) => host.out(`\r${barLine(done, total, elapsed, columns - 1)}\u001b[K`)),
    end: () => host.out('\n'),
  }
}

/** The bar takes what the numbers leave of the line. */
function barLine(done: number, total: number, elapsed: number, width: number): string {
  const percent = share(done, total)
  const { speed, left } = estimate(elapsed, done, total)
  const time = done >= total ? `in ${clock(elapsed / 1000)}` : left === null ? '' : `${clock(left)} left`
  const numbers = ` ${percent.toFixed(1).padStart(5)} %  ${humanSize(done)} of ${humanSize(total)}  ${humanSize(speed)}/s  ${time}`
  const chars = Math.max(0, Math.min(MAX_BAR_CHARS, width - numbers.length - 2))
  const full = Math.round((percent / 100) * chars)
  return `[${'#'.repeat(full)}${'-'.repeat(chars - full)}]${numbers}`.slice(0, width)
}

/** Mean speed so far, and from it the seconds left; null while nothing is known. */
function estimate(elapsed: number, done: number, total: number): { speed: number; left: number | null } {
  if (elapsed <= 0 || done <= 0) return { speed: 0, left: done >= total ? 0 : null }
  const speed = done / (elapsed / 1000)
  return { speed, left: Math.max(0, total - done) / speed }
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds)
  const minutes = Math.floor(whole / 60)
  const two = (n: number): string => String(n).padStart(2, '0')
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`
}
