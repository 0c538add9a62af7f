import { readFileSync, rmSync } from 'node:fs'
import { runChecked } from './run.ts'

/** The guest's bytes of an image, as the reference reads them. */
export function rawContent(image: string, format: string, extra: readonly string[] = []): Uint8Array {
  const out = `${image}.oracle-raw`
  try {
    runChecked('qemu-img', ['convert', '-f', format, '-O', 'raw', ...extra, image, out])
    return new Uint8Array(readFileSync(out))
  } finally {
    rmSync(out, { force: true })
  }
}
