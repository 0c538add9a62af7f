import { expect, it } from 'vitest'
import { createRandom, Job } from '../src/index.ts'
import { JobHeap } from '../src/context/job-heap.ts'
import { seeds } from './interleaving.ts'

it.each(seeds(30))('pops by deadline, then by order of arrival, whatever is removed in between (seed %i)', (seed) => {
  const random = createRandom(seed)
  const heap = new JobHeap()
  let model: { job: Job; deadline: number }[] = []
  let now = 0
  for (let i = 0; i < 500; i++) {
    const dice = random.below(10)
    if (dice < 6) {
      const job = new Job(`${i}`, () => undefined)
      const deadline = now + random.below(20)
      heap.push(job, deadline)
      model.push({ job, deadline })
    } else if (dice < 8 && model.length > 0) {
      const victim = random.pick(model)
      heap.remove(victim.job)
      expect(victim.job.where).toBe('idle')
      model = model.filter((entry) => entry !== victim)
    } else {
      now += random.below(10)
      model.sort((a, b) => a.deadline - b.deadline) // stable: keeps the order of arrival
      const due = model.filter((entry) => entry.deadline <= now)
      model = model.filter((entry) => entry.deadline > now)
      const popped: string[] = []
      for (let job = heap.popDue(now); job !== undefined; job = heap.popDue(now)) popped.push(job.label)
      expect(popped, `seed ${seed}`).toEqual(due.map((entry) => entry.job.label))
    }
    expect(heap.size).toBe(model.length)
  }
})
