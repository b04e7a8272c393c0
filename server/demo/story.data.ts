/**
 * A few days at Lotus Yoga, as the demo tells them. Times are the studio's own (days before today, by
 * its wall clock) or minutes before the demo is made, so that the story always ends just now.
 */
import type { OnboardingPlan } from '../businesses/index.ts';

const sms = '+15005550006';

export const studio: OnboardingPlan & { time_zone: string } = {
  business_id: 1001,
  name: 'Lotus Yoga',
  country: 'US',
  time_zone: 'America/New_York',
  locations: [
    { location_id: 1, name: 'Downtown' },
    { location_id: 2, name: 'Harbor' },
  ],
  staffs: [
    { staff_id: 12345, name: 'Mia Chen', email: 'mia@lotus.example', role: 'manager' },
    { staff_id: 12346, name: 'Noah Diaz', email: 'noah@lotus.example', location_ids: [1] },
    { staff_id: 12347, name: 'Priya Nair', email: 'priya@lotus.example', location_ids: [2] },
  ],
  senders: [
    { channel: 'sms', address: sms, provider: 'simulator' },
    { channel: 'email', address: 'hello@lotus.example', name: 'Lotus Yoga', provider: 'simulator' },
  ],
};

export const studioSms = sms;

const mia = 12345;
const noah = 12346;
const priya = 12347;

/** When it happened: so many days ago at a time of the studio's wall clock, or so many minutes ago. */
export type When = { daysAgo: number; at: `${number}:${number}` } | { minutesAgo: number };

export type Step = { when: When } & (
  | { kind: 'reminder' | 'from-client'; content: string }
  | { kind: 'from-staff'; content: string; staffId: number }
  | { kind: 'note'; content: string; staffId: number }
  /** Went out, and the carrier could not deliver it. */
  | { kind: 'undelivered'; content: string; errorCode: string; errorMessage: string }
  /** Asked to be sent to a client who opted out. */
  | { kind: 'suppressed'; content: string }
);

export interface Thread {
  client: { clientId: number; name: string; phone: string; locationId: number };
  steps: Step[];
  /** Nobody has looked at what the client wrote last. */
  unread?: boolean;
  assignee?: number;
}

const on = (daysAgo: number, at: `${number}:${number}`): When => ({ daysAgo, at });
const ago = (minutesAgo: number): When => ({ minutesAgo });
const reminder = (when: When, content: string): Step => ({ kind: 'reminder', when, content });
const client = (when: When, content: string): Step => ({ kind: 'from-client', when, content });
const staff = (staffId: number, when: When, content: string): Step => ({
  kind: 'from-staff',
  when,
  content,
  staffId,
});

/** The client of the command lines that a first start prints. */
export const anaId = 501;

export const threads: Thread[] = [
  {
    client: { clientId: anaId, name: 'Ana Lima', phone: '+12025550101', locationId: 1 },
    steps: [
      reminder(on(2, '9:00'), 'Hi Ana, see you tomorrow at 9:00 for Vinyasa at Lotus Yoga Downtown.'),
      client(on(2, '9:12'), 'Can I move to 10?'),
      staff(mia, on(2, '9:20'), 'Of course, you are in the 10:00 class now.'),
      client(on(2, '9:21'), 'Perfect, thank you!'),
      { kind: 'note', when: on(2, '9:24'), staffId: mia, content: 'Prefers 10:00, she drops her son first.' },
      staff(mia, on(2, '9:25'), 'See you tomorrow, Ana.'),
    ],
  },
  {
    client: { clientId: 502, name: 'Ben Okafor', phone: '+12025550102', locationId: 1 },
    steps: [
      reminder(on(1, '9:00'), 'Hi Ben, see you tomorrow at 18:30 for Strength at Lotus Yoga Downtown.'),
      client(on(1, '9:03'), 'Yes, I will be there'),
      staff(noah, on(1, '9:10'), 'Great, see you then.'),
    ],
  },
  {
    client: { clientId: 503, name: 'Carla Rossi', phone: '+12025550103', locationId: 2 },
    steps: [
      reminder(on(3, '9:00'), 'Hi Carla, see you tomorrow at 17:00 for Yin at Lotus Yoga Harbor.'),
      client(ago(26), 'Is there still a spot in the 18:00 flow class tonight?'),
      client(ago(25), 'Two if possible, my sister would come along'),
    ],
    unread: true,
  },
  {
    client: { clientId: 504, name: 'David Kim', phone: '+12025550104', locationId: 1 },
    steps: [
      reminder(on(3, '9:00'), 'Hi David, see you tomorrow at 7:00 for Morning Flow at Lotus Yoga Downtown.'),
      client(on(3, '9:31'), 'STOP'),
      {
        kind: 'suppressed',
        when: on(1, '9:00'),
        content: 'Hi David, see you tomorrow at 7:00 for Morning Flow at Lotus Yoga Downtown.',
      },
    ],
  },
  {
    client: { clientId: 505, name: 'Elif Demir', phone: '+12025550105', locationId: 1 },
    steps: [
      client(on(1, '14:02'), 'Do you offer private lessons for a sore back?'),
      staff(mia, on(1, '14:10'), 'We do. Noah teaches them on Tuesdays and Thursdays, 75 dollars an hour.'),
      client(on(1, '14:15'), 'Thursday would be good, late afternoon'),
      staff(noah, on(1, '14:40'), 'Thursday at 17:00 is yours. Please come ten minutes early.'),
    ],
    assignee: noah,
  },
  {
    client: { clientId: 506, name: 'Farid Haddad', phone: '+12025550106', locationId: 2 },
    steps: [
      {
        kind: 'undelivered',
        when: on(1, '9:00'),
        content: 'Hi Farid, see you tomorrow at 12:15 for Lunch Stretch at Lotus Yoga Harbor.',
        errorCode: '30005',
        errorMessage: 'Unknown destination handset',
      },
    ],
  },
  {
    client: { clientId: 507, name: 'Grace Park', phone: '+12025550107', locationId: 2 },
    steps: [
      client(on(2, '16:45'), 'Hello, it is my first class tomorrow. Should I bring a mat?'),
      staff(priya, on(2, '16:52'), 'Welcome Grace! Mats are here, just bring water and a towel.'),
    ],
  },
  {
    client: { clientId: 508, name: 'Hugo Martin', phone: '+12025550108', locationId: 2 },
    steps: [
      reminder(on(3, '11:00'), 'Hi Hugo, your pass of ten classes ends this week.'),
      client(on(3, '11:30'), 'Please renew it for me'),
      staff(priya, on(3, '11:41'), 'Done, ten more classes from today.'),
    ],
  },
];
