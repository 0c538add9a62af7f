/** Commands whose work grows with the image, and consists of some hundred to some thousand equal pieces. */
const COPYING: ReadonlySet<string> = new Set(['commit', 'compare', 'convert', 'rebase'])

/** The last major version of V8 that is known to have these settings: it complains of unknown ones on standard error. */
const KNOWN_VERSION = 13

const SETTINGS = [
  // Code that ran 400 times is compiled once more, better, on V8's threads. Copying a GiB calls most functions some 600 times:
  // by the time they are compiled the copy is done, and two processors were busy with its data meanwhile.
  '--invocation-count-for-maglev=3000',
  // The simple compiler that comes before takes less time than to have it run elsewhere.
  '--no-concurrent-sparkplug',
]

/**
 * Sets V8 up for commands that copy: copying a GiB takes a twentieth to a tenth less time on two processors; long copies lose
 * nothing. Other commands are over before any of it matters, and loading the module for it would take them 3 ms.
 *
 * @internal
 */
export function setUpV8(command: string | undefined, version = process.versions.v8): void {
  if (command === undefined || !COPYING.has(command)) return
  if (Number.parseInt(version, 10) > KNOWN_VERSION) return
  const v8 = process.getBuiltinModule('node:v8')
  for (const setting of SETTINGS) v8.setFlagsFromString(setting)
}
