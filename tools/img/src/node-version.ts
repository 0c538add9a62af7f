/** `engines.node` of this package: its major and minor version. */
const NEEDED = [22, 15] as const

/**
 * What is wrong with this version of Node, if anything. On older ones most works, and some fails half way, in the middle of
 * changing an image; the package manager only warns.
 *
 * @internal
 */
export function complainOfNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const enough = major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])
  return enough ? undefined : `Node ${NEEDED.join('.')} or newer is needed, this is ${version}`
}
