import test from 'ava';
import { escapeHtml } from '../../../shared/html/escape-html.js';

test('special characters of HTML are escaped, others kept', (t) => {
  t.is(
    escapeHtml(`<a href="x" title='y'>&amp;</a>`),
    '&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;',
  );
  t.is(escapeHtml('Zoë 🙂 `plain` text'), 'Zoë 🙂 `plain` text');
});
