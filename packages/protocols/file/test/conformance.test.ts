import * as fs from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { protocolCases, register, type FacetName, type ProtocolFixture } from '@blockloom/driver-testkit'
import { file, fileDriver } from '@blockloom/protocol-file'
import { loadLibc } from '../src/native/libc.ts'

const EVERYWHERE: readonly FacetName[] = [
  'prefixes', 'parseFilename', 'creation', 'writer', 'resize', 'reopen', 'aioContext', 'allocatedSize', 'invalidate',
]
const WITH_LIBC: readonly FacetName[] = [...EVERYWHERE, 'extents', 'zero', 'discard', 'permissions']

const plain = fileDriver({ native: false })
const native = (await loadLibc()) !== null
const facets = native ? WITH_LIBC : EVERYWHERE

register(protocolCases(), () => fixture({ driver: file, facets }), { describe, it }, native ? 'file, with the calls of libc' : 'file')
register(protocolCases({ seed: 2 }), () => fixture({ driver: plain, facets: EVERYWHERE }), { describe, it }, 'file, with what Node has')
register(protocolCases(), () => fixture({ driver: file, facets, options: { locking: 'off', 'cache.no-flush': true } }), { describe, it }, 'file, without locks and flushes')
if (native && hostHasDirect()) {
  register(protocolCases({ seed: 3 }), () => fixture({ driver: file, facets, options: { 'cache.direct': true }, imageSize: 266240 }), { describe, it }, 'file, with O_DIRECT')
}

async function fixture(some: Pick<ProtocolFixture, 'driver' | 'facets' | 'options' | 'imageSize'>): Promise<ProtocolFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'blockloom-conformance-'))
  let count = 0
  return {
    ...some,
    keeps: 'reopen',
    make: async (content) => {
      const filename = join(folder, `disk${count++}`)
      await writeFile(filename, content)
      return { filename }
    },
    missing: async () => ({ filename: join(folder, 'nowhere') }),
    peek: async ({ filename }) => new Uint8Array(await readFile(filename as string)),
    fresh: async (size) => {
      const filename = join(folder, 'new')
      return { create: { filename, size }, open: { filename } }
    },
    filenames: [
      { filename: 'disk.img', options: { filename: 'disk.img' } },
      { filename: 'file:disk.img', options: { filename: 'disk.img' } },
      { filename: 'file:file:odd', options: { filename: 'file:odd' } },
    ],
    dispose: () => rm(folder, { recursive: true }),
  }
}

/** `tmpfs` and some others have no O_DIRECT. */
function hostHasDirect(): boolean {
  const folder = fs.mkdtempSync(join(tmpdir(), 'blockloom-direct-'))
  const path = join(folder, 'x')
  fs.writeFileSync(path, '')
  try {
    fs.closeSync(fs.openSync(path, fs.constants.O_RDWR + fs.constants.O_DIRECT))
    return true
  } catch {
    return false
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}
