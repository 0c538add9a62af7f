import { readFileSync } from 'node:fs'

/** Processor time since the machine started, in ticks. */
export interface ProcessorTime {
  /** Of all processors, idle time included. */
  readonly all: number
  /** Ready to run, while the host of this virtual machine gave the processor to another one. */
  readonly stolen: number
}

/** Zeroes where the system does not tell. Source: proc_stat(5), the line of all processors. */
export function processorTime(): ProcessorTime {
  try {
    return parseProcessorTime(readFileSync('/proc/stat', 'utf8'))
  } catch {
    return { all: 0, stolen: 0 }
  }
}

/** user, nice, system, idle, iowait, irq, softirq and steal; the time of guests behind them is in user already. */
export function parseProcessorTime(stat: string): ProcessorTime {
  const fields = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').slice(0, 8).map(Number) ?? []
  return { all: fields.reduce((sum, field) => sum + field, 0), stolen: fields[7] ?? 0 }
}

/** Which part of the time of all processors was stolen between two looks; 0 to 1. */
export function stolenBetween(before: ProcessorTime, after: ProcessorTime): number {
  const all = after.all - before.all
  return all <= 0 ? 0 : (after.stolen - before.stolen) / all
}
