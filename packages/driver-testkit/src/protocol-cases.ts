import { ProtocolBench } from './bench/protocol-bench.ts'
import type { Case, CaseOptions } from './case.ts'
import { protocolDrafts } from './cases/protocol/host.ts'
import { sharedDrafts } from './cases/shared/all.ts'
import { casesOf } from './draft.ts'
import type { ProtocolFixture } from './fixture.ts'

/**
 * The cases of a protocol. They run on whatever the fixture's hooks make: a file, a server, memory.
 *
 * @throws for an exclusion of a case that does not exist, or without a reason
 * @public
 */
export function protocolCases(options: CaseOptions = {}): readonly Case<ProtocolFixture>[] {
  // A protocol's own creation is another thing than a format's.
  const drafts = [...protocolDrafts, ...sharedDrafts.filter((draft) => !draft.name.startsWith('zeroInit'))]
  return casesOf<ProtocolFixture, ProtocolBench>(drafts, (fixture, random, watch) => new ProtocolBench(fixture, random, watch), options)
}
