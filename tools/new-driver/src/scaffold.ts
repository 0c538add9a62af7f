import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Kind, Names } from './names.ts'
import { changeset, packageFiles } from './package-files.ts'

/** What the templates do, as one phrase. */
const SUMMARIES: Readonly<Record<Kind, string>> = {
  format: 'a header, then the bytes of the disk',
  protocol: 'a disk that reads as zeroes',
  filter: 'shows its child as it is',
}

/**
 * Writes a driver package that works: a small driver of its kind and its conformance tests. Adds it to the root's
 * references and leaves a changeset for its first release.
 *
 * @returns the files, relative to the root
 * @throws Error if the folder is there already
 * @internal
 */
export function scaffold(root: string, names: Names): readonly string[] {
  if (existsSync(path.join(root, names.folder))) throw new Error(`${names.folder} is there already`)
  const templates = path.resolve(import.meta.dirname, '../templates', names.kind)
  const files = new Map<string, string>()
  for (const entry of readdirSync(templates, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const source = path.join(entry.parentPath, entry.name)
    files.set(`${names.folder}/${path.relative(templates, source)}`, rename(readFileSync(source, 'utf8'), names))
  }
  for (const [file, content] of Object.entries(packageFiles(names, SUMMARIES[names.kind]))) files.set(`${names.folder}/${file}`, content)
  files.set(`.changeset/${names.kind}-${names.driver}.md`, changeset(names))
  files.set('tsconfig.json', withReference(readFileSync(path.join(root, 'tsconfig.json'), 'utf8'), names.folder))
  for (const [file, content] of files) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
    writeFileSync(path.join(root, file), content)
  }
  return [...files.keys()]
}

/** The templates are a driver called `acme`. In strings and prose the name is as users write it, elsewhere as code does. */
function rename(text: string, { driver, camel, pascal }: Names): string {
  return text
    .replaceAll('Acme', pascal)
    .replace(/(?<=['`/.-])acme(?=['`])|(?<=disk\.)acme|(?<=(in|An) )acme(?= (format|disk))/g, driver)
    .replaceAll('acme', camel)
}

function withReference(tsconfig: string, folder: string): string {
  const project = JSON.parse(tsconfig) as { references: { path: string }[] }
  return `${JSON.stringify({ ...project, references: [...project.references, { path: folder }] }, null, 2)}\n`
}
