"""What a scorecard says of offers, a module a part: money, factors, prices, segments, funnel, what comes after.

`tree` has the records, `building` makes them, `text` and `section` show them on the terminal and on the page.
"""
