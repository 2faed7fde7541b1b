import {test} from 'vitest';
import { parseIgnored, isIgnored } from '../../src/gateway/hub/ignored.js';
test('x',()=>{
let t=Date.now();
parseIgnored(' '.repeat(50000)+'x'); console.log('50k spaces', Date.now()-t,'ms');
t=Date.now();
const rules = parseIgnored(Array.from({length:1000},()=> '*a'.repeat(120)+'b').join('\n'));
console.log('parse', Date.now()-t); t=Date.now();
isIgnored(rules, Array.from({length:8},()=>'a'.repeat(240)));
console.log('1 path of 8 parts', Date.now()-t,'ms');
t=Date.now();
try { const r2 = parseIgnored(Array.from({length:1000},()=> '**/*a*b/'.repeat(30)+'c').join('\n'));
isIgnored(r2, Array.from({length:60},()=>'a'.repeat(60)));} catch (e) { console.log(String(e)); }
console.log('2: 1 path of 60 parts', Date.now()-t,'ms');
},120000)
test('y', () => { let t = Date.now(); parseIgnored('['.repeat(250000)); parseIgnored((' '.repeat(100)+'[').repeat(2500)); console.log('brackets', Date.now()-t); });
