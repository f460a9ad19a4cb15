/* Search without a server: the words of all pages are in search-index.js, which is read when somebody types. */
'use strict';

const box = document.getElementById('search'), list = document.getElementById('found');
const root = document.currentScript.dataset.root;
const MOST = 30;

function loadIndex(then) {
    if (window.searchIndex)
        return then();
    const script = document.createElement('script');
    script.src = root + 'search-index.js';
    script.onload = then;
    document.head.append(script);
}

/* Every word has to be there; in the title it counts more, and most where it is the title. */
function rank(entry, words) {
    const title = entry.title.toLowerCase(), text = entry.text.toLowerCase();
    let sum = 0;
    for (const word of words) {
        if (title === word || title === 'asyncio_' + word)
            sum += 100;
        else if (title.includes(word))
            sum += 10;
        else if (text.includes(word))
            sum += 1;
        else
            return 0;
    }
    return sum;
}

function around(text, word) {
    const at = Math.max(0, text.toLowerCase().indexOf(word) - 50);
    return (at ? '… ' : '') + text.slice(at, at + 150);
}

function show() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length === 0 ? [] : window.searchIndex
        .map(entry => [rank(entry, words), entry])
        .filter(([sum]) => sum > 0)
        .sort(([a], [b]) => b - a);
    list.replaceChildren(...found.slice(0, MOST).map(([, entry]) => {
        const item = document.createElement('li'), link = document.createElement('a'),
            text = document.createElement('small');
        link.href = root + entry.url;
        link.textContent = entry.title;
        text.textContent = around(entry.text, words[0]);
        item.append(link, text);
        return item;
    }));
}

box.addEventListener('input', () => loadIndex(show));
if (location.hash.startsWith('#search=')) {
    box.value = decodeURIComponent(location.hash.slice(8));
    loadIndex(show);
}
