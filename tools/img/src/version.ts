import { createRequire } from 'node:module'

/**
 * What `--version` prints. Scripts that call the tool `qemu-img` look for the version whose behaviour they can expect.
 *
 * @internal
 */
export function versionLines(program: string): string {
  // By its own name: the file may be a chunk of a bundle.
  const { version } = createRequire(import.meta.url)('@blockloom/img/package.json') as { version: string }
  const line = program === 'qemu-img' ? `qemu-img version 7.2.0 (blockloom-img ${version})` : `${program} version ${version} (behaves as qemu-img 7.2)`
  return `${line}\nblockloom, MIT licence\n`
}
