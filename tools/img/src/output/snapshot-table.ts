import type { SnapshotInfo } from '@blockloom/block-driver'
import { humanSize } from './human-size.ts'

/** The table of internal snapshots, one line each, as `info` prints it. @internal */
export function snapshotTable(snapshots: readonly SnapshotInfo[]): string {
  const rows = snapshots.map((s) => row(s.id, s.name, humanSize(s.vmStateSize), localTime(s.dateSec), runTime(s.vmClockNsec), s.icount === undefined ? '' : String(s.icount)))
  return [row('ID', 'TAG', 'VM SIZE', 'DATE', 'VM CLOCK', 'ICOUNT'), ...rows].join('')
}

function row(id: string, tag: string, vmSize: string, date: string, clock: string, icount: string): string {
  return `${id.padEnd(9)} ${tag.padEnd(16)} ${vmSize.padStart(8)}${date.padStart(20)}${clock.padStart(13)}${icount.padStart(11)}\n`
}

const two = (n: number): string => String(n).padStart(2, '0')

function localTime(seconds: number): string {
  const d = new Date(seconds * 1000)
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
}

function runTime(nanoseconds: number): string {
  const seconds = Math.floor(nanoseconds / 1e9)
  const ms = String(Math.floor((nanoseconds % 1e9) / 1e6)).padStart(3, '0')
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${ms}`
}
