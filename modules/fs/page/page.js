(function () {
    var box = document.getElementById('q'), table = document.querySelector('.list');
    var rows = [].slice.call(table.tBodies[0].rows), count = document.getElementById('count'), said = count.textContent;
    var live = !box.form.hasAttribute('data-paged');
    function filter() {
        var want = box.value.toLowerCase(), n = 0;
        rows.forEach(function (row) {
            var there = row.cells[0].textContent.toLowerCase().indexOf(want) >= 0;
            row.hidden = !there;
            n += there;
        });
        count.textContent = want ? n + ' of ' + rows.length + ' shown' : said;
    }
    function links() {
        return rows.filter(function (row) { return !row.hidden && row.querySelector('a'); })
            .map(function (row) { return row.querySelector('a'); });
    }
    if (live) {
        box.addEventListener('input', filter);
        if (box.value !== box.defaultValue) filter();
    }
    [].forEach.call(document.querySelectorAll('time'), function (time) {
        var date = new Date(time.dateTime);
        if (!isNaN(date)) time.title = date.toLocaleString() + ' (here)';
    });
    document.addEventListener('keydown', function (e) {
        var all, at, typing = e.target === box;
        if (e.ctrlKey || e.altKey || e.metaKey) return;
        if (e.key === '/' && !typing) {
            box.focus();
            box.select();
        } else if (e.key === 'Escape' && typing) {
            box.value = '';
            if (live) filter();
        } else if (e.key === 'Enter' && typing && live && (all = links()).length === 1) {
            all[0].click();
        } else if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
            all = links();
            at = all.indexOf(document.activeElement) + (e.key === 'ArrowDown' ? 1 : -1);
            if (typing && e.key === 'ArrowUp') return;
            (at < 0 ? box : all[Math.min(at, all.length - 1)] || box).focus();
        } else if (e.key === 'Backspace' && !typing && document.querySelector('h1 a')) {
            location = '../';
        } else {
            return;
        }
        e.preventDefault();
    });
})();
