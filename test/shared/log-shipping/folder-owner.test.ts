import test from 'ava';
import {
  folderName,
  isOwnerDead,
  noOwner,
  parseFolderName,
  thisProcess,
} from '../../../shared/log-shipping/folder-owner.js';
import { deadLocalOwner, livingLocalOwner, remoteOwner } from './spool-fixture.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

const me = thisProcess();
const ID = '0b9d1c1e-6b0f-4d56-9a35-0d9a4b7f0001';
const MINUTE_MS = 60_000;

test('a folder’s name contains its id and its owner', (t) => {
  for (const owner of [me, remoteOwner(), noOwner])
    t.deepEqual(parseFolderName(folderName(ID, owner)), { id: ID, owner });
});

test('other names are not folders of a spool', (t) => {
  for (const name of ['lost+found', '.', ID, `${ID}~x~1~2~h`, `../${folderName(ID, me)}`])
    t.is(parseFolderName(name), undefined, name);
});

test('a folder’s name is valid on any file system, whatever the host’s name', (t) => {
  t.regex(me.host, /^[\w.-]+$/);
  t.true(folderName(ID, { ...me, host: 'h'.repeat(64) }).length < 200);
});

test('an owner on this host is dead once its process is', (t) => {
  t.true(isOwnerDead(deadLocalOwner(), me, 0));
  t.false(isOwnerDead(livingLocalOwner(), me, 59_000));
  t.true(
    isOwnerDead({ ...me, bootId: remoteOwner().bootId }, me, 0),
    'an earlier process with this pid',
  );
});

test('an owner elsewhere is dead after a minute without a heartbeat', (t) => {
  const dead = deadLocalOwner();
  for (const owner of [remoteOwner(), { ...dead, pidNamespace: '1' }, livingLocalOwner()]) {
    t.false(isOwnerDead(owner, me, MINUTE_MS - 1));
    t.true(isOwnerDead(owner, me, MINUTE_MS));
    t.true(isOwnerDead(owner, me, -MINUTE_MS), 'the clock was set back');
  }
});

test('a folder without an owner is free at once; an own folder never is', (t) => {
  t.true(isOwnerDead(noOwner, me, 0));
  t.false(isOwnerDead(me, me, 10 * MINUTE_MS));
});
