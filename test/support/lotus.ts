import type { Static } from 'typebox';
import type { Contract } from '../../contract/index.ts';

export type OnboardingPlan = Static<Contract['onboardBusiness']['input']['body']>;

/** The studio that tests are about, on the simulator. */
export const lotus: OnboardingPlan = {
  business_id: 1001,
  name: 'Lotus Yoga',
  country: 'US',
  time_zone: 'America/New_York',
  locations: [
    { location_id: 1, name: 'Downtown' },
    { location_id: 2, name: 'Harbor' },
  ],
  staffs: [
    { staff_id: 12345, name: 'Mia Chen', email: 'mia@lotus.example', role: 'manager', location_ids: [1] },
    { staff_id: 12346, name: 'Noah Diaz', email: 'noah@lotus.example', location_ids: [2] },
  ],
  senders: [
    { channel: 'sms', address: '+15005550006', provider: 'simulator', location_id: 1 },
    { channel: 'email', address: 'hello@lotus.example', name: 'Lotus Yoga', provider: 'simulator' },
  ],
};
