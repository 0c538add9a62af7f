import { describe, it } from 'vitest'
import { formatCases, register, type FacetName, type FormatFixture } from '@blockloom/driver-testkit'
import { raw } from '@blockloom/format-raw'

const FACETS: readonly FacetName[] = ['probe', 'creation', 'measure', 'extents', 'writer', 'zero', 'discard', 'resize', 'reopen']

register(formatCases(), (): FormatFixture => ({ driver: raw, facets: FACETS }), { describe, it }, 'raw')

register(formatCases({ seed: 2 }), (): FormatFixture => ({
  driver: raw,
  facets: FACETS,
  child: { requestAlignment: 512, zeroInit: false },
}), { describe, it }, 'raw on a file that is aligned and does not read as zeroes')

register(formatCases(), (): FormatFixture => windowed({ offset: 1536, size: 262144 }), { describe, it }, 'raw, a window with an offset and a size')
register(formatCases(), (): FormatFixture => windowed({ offset: 1000 }), { describe, it }, 'raw, a window with an offset, to the end of the file')

/** A file that holds more than the window shows. */
function windowed({ offset, size }: { readonly offset: number; readonly size?: number }): FormatFixture {
  const shown = size ?? 260608
  return {
    driver: raw,
    facets: FACETS,
    options: { offset, ...(size !== undefined && { size }) },
    imageSize: shown,
    fixedSize: size !== undefined,
    sample: async () => {
      const file = new Uint8Array(offset + shown + (size === undefined ? 0 : 4096)).fill(0x77)
      for (let at = offset + 512; at < offset + shown; at += 7) file[at] = at % 251
      return { files: { file }, content: file.slice(offset, offset + shown) }
    },
  }
}
