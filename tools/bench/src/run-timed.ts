import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { stolenBetween, type ProcessorTime } from './steal.ts'

/** One run of a program. */
export interface Timed {
  readonly seconds: number
  /** Which part of the processors' time the host took away meanwhile; 0 to 1. */
  readonly stolen: number
  /** High-water mark of resident memory, bytes; 0 if nobody looked, and where the host does not tell. */
  readonly peakMemory: number
  readonly stdout: string
}

/**
 * Runs a program to its end; anything but success is an error with what it printed.
 *
 * @param watch - look at its memory all the time, which takes time from it
 * @param look - the processors' time until now
 */
export function runTimed(program: string, args: readonly string[], watch: boolean, look: () => ProcessorTime): Promise<Timed> {
  return new Promise((resolve, reject) => {
    const before = look()
    const started = process.hrtime.bigint()
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    let peakMemory = 0
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    // The mark only rises: the last look before the end counts.
    const watching = watch ? setInterval(() => (peakMemory = Math.max(peakMemory, highWater(child.pid))), 10) : undefined
    child.once('error', reject)
    child.once('close', (code) => {
      clearInterval(watching)
      const seconds = Number(process.hrtime.bigint() - started) / 1e9
      const stolen = stolenBetween(before, look())
      if (code === 0) resolve({ seconds, stolen, peakMemory, stdout })
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code}\n${stdout}${stderr}`))
    })
  })
}

function highWater(pid: number | undefined): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kib ?? 0) * 1024
  } catch {
    return 0
  }
}
