// The parts of the publish page that the tests look at, in one graph of modules, so that all of them mean the same classes.
export { secretIn, streamName } from '../src/address';
export { Failure } from '../src/problem';
export { troubleOf } from '../src/publish/devices';
export { connectionWords, troubleWords } from '../src/publish/face';
export { figures, judge, sampleOf } from '../src/publish/health';
export { Keep } from '../src/publish/keep';
export { decibels, deflection, Silence } from '../src/publish/level';
export { nodeView } from '../src/publish/monitor';
export { preferred } from '../src/publish/peer';
export { encodings, pictureConstraints, qualities, qualityNamed, severalByDefault, wholeBitrate } from '../src/publish/quality';
export { credentials, fragment, restarted, withStartBitrate } from '../src/publish/sdp';
export { keptChoices } from '../src/publish/setup';
export { publishStrings } from '../src/publish/strings';
export { Uplink } from '../src/publish/uplink';
export { iceServers, Whip } from '../src/publish/whip';
