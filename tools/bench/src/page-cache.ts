import { closeSync, openSync, rmSync, writeSync } from 'node:fs'

/** More than any benchmark writes, and less than makes the host begin to write it to the disk (a tenth of its memory). */
const MIB = 1500
/** The unit that is timed, MiB. */
const STRETCH = 100
/** A stretch that takes this much longer than the fastest met memory that was not there yet. */
const COLD = 2
const PASSES = 8

/**
 * Writes a file and removes it, until a whole file is written at one speed. A virtual machine may have to get free memory
 * back from its host, which costs whoever needs it first several times what the copy itself costs; afterwards the pages are
 * there for either side.
 */
export function touchPageCache(file: string): void {
  const block = Buffer.alloc(1 << 20, 1)
  for (let pass = 0; pass < PASSES; pass++) {
    const times = writeStretches(file, block)
    if (Math.max(...times) <= COLD * Math.min(...times)) return
  }
}

/** Microseconds of each stretch, of the processor: a host that takes it away for a while says nothing of memory. */
function writeStretches(file: string, block: Uint8Array): number[] {
  const times: number[] = []
  const out = openSync(file, 'w')
  for (let done = 0; done < MIB; done += STRETCH) {
    const before = process.cpuUsage()
    for (let i = 0; i < STRETCH; i++) writeSync(out, block)
    const { user, system } = process.cpuUsage(before)
    times.push(user + system)
  }
  closeSync(out)
  rmSync(file)
  return times
}
