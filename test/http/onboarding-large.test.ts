import { expect, test } from 'vitest';
import { startOmega } from '../support/omega.ts';

test('a plan of 1,500 staff is written whole, and the last word on one who is named twice counts', async () => {
  const omega = await startOmega({ worker: false });
  const { db } = omega.omega.database;
  const staffs = Array.from({ length: 1_500 }, (_, i) => ({
    staff_id: i + 1,
    name: `Staff ${i + 1}`,
    location_ids: [1, 2, 1],
  }));
  await omega.business({
    business_id: 1001,
    senders: [],
    staffs: [...staffs, { staff_id: 7, name: 'Seven', location_ids: [2] }],
  });
  const names = await db.selectFrom('staffs').select(['staff_id', 'name']).orderBy('staff_id').execute();
  expect(names).toEqual(
    staffs.map(({ staff_id, name }) => ({ staff_id, name: staff_id === 7 ? 'Seven' : name })),
  );
  const places = () =>
    db.selectFrom('staff_locations').select(['staff_id', 'location_id']).orderBy('staff_id').execute();
  expect(await places()).toHaveLength(2 * 1_500 - 1);

  // Named again: without places they keep theirs, with none they lose them.
  await omega.business({
    business_id: 1001,
    staffs: [
      { staff_id: 7, name: 'Seven of Nine' },
      { staff_id: 8, name: 'Eight', location_ids: [] },
    ],
  });
  const after = await places();
  expect(after).toHaveLength(2 * 1_500 - 3);
  expect(after.filter((row) => row.staff_id === 7 || row.staff_id === 8)).toEqual([
    { staff_id: 7, location_id: 2 },
  ]);
  await omega.close();
});
