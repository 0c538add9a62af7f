import { closeSync, openSync, rmSync, writeSync } from 'node:fs'

/** More than any benchmark writes, and less than makes the host begin to write it to the disk (a tenth of its memory). */
const MIB = 1500

/**
 * Writes a file and removes it. A virtual machine may have to get free memory back from its host, which costs whoever
 * needs it first several times what the copy itself costs; afterwards the pages are there for either side.
 */
export function touchPageCache(file: string): void {
  const out = openSync(file, 'w')
  const block = Buffer.alloc(1 << 20, 1)
  for (let i = 0; i < MIB; i++) writeSync(out, block)
  closeSync(out)
  rmSync(file)
}
