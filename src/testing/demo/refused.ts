/** The victim meets the thief alone. */
import type { Trick } from '../attacker.ts';
import { runningOf } from './device.ts';
import { AUTHORS_NODE } from './members.ts';
import { deviceNamed, VICTIM, type Loot, type Stage } from './stage.ts';

/** It asks the thief, refuses with this code, and still runs 1.0.0. */
export async function refused(
  stage: Stage,
  { attacker }: Loot,
  what: string,
  trick: Trick,
  code: string,
): Promise<boolean> {
  const victim = deviceNamed(stage, VICTIM);
  return stage.rows.judge(what, `${code}; still runs 1.0.0`, [victim], async () => {
    attacker.play(trick);
    const result = await victim.poll(AUTHORS_NODE);
    const { version } = runningOf(result['running']);
    return `${String(result['code'] ?? result['outcome'])}; still runs ${version}`;
  });
}
