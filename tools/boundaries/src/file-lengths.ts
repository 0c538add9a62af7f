import { readSource } from './source-file.ts'
import type { Workspace } from './workspace.ts'

/** How long the sources of the libraries are, in lines. @internal */
export interface FileLengths {
  readonly files: number
  readonly median: number
  readonly longest: { readonly file: string; readonly lines: number }
}

/** Measures `src` of everything under packages/ and tools/. @internal */
export function fileLengths(workspace: Workspace): FileLengths {
  const sizes = workspace.packages
    .flatMap((pkg) => pkg.sources)
    .map((file) => ({ file, lines: readSource(workspace.root, file).lines }))
    .sort((a, b) => a.lines - b.lines)
  const middle = sizes[Math.floor(sizes.length / 2)]
  return { files: sizes.length, median: middle?.lines ?? 0, longest: sizes.at(-1) ?? { file: '', lines: 0 } }
}
