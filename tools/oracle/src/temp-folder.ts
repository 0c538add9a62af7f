import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A fresh folder; the caller removes it. */
export function tempFolder(): string {
  return mkdtempSync(join(tmpdir(), 'blockloom-'))
}

/** Runs with a fresh folder that is gone afterwards, whatever happens. */
export async function withTempFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = tempFolder()
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
