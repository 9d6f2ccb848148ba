# /costs: what was spent in a server, or everywhere.

action_costs = Costs
    .today = Today
    .month = This month
    .here = This server
    .everywhere = All servers
amount = { MONEY($usd) }
costs_title = What pictures cost in this server
costs_title_everywhere = What pictures cost in all servers
costs_today = **Today:** { $spent } · { $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    }
costs_month = **This month:** { $spent } · { $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    }
costs_spent = { MONEY($usd) }
costs_spent_about = about { MONEY($usd) }
costs_spent_of = { MONEY($usd) } of { MONEY($bound) }
costs_spent_of_about = about { MONEY($usd) } of { MONEY($bound) }
costs_reserved = { MONEY($usd) } of it is for requests in progress, at the most that they can cost.
costs_legend = Each day of this month in US dollars; yellow: today. Days begin at 00:00 UTC.
costs_legend_bound = Each day of this month in US dollars; yellow: today; dashed line: the most in a day. Days begin at 00:00 UTC.
costs_no_chart = The chart can't be drawn right now; the numbers are all in the table below. Days begin at 00:00 UTC.
costs_by_server = **By server, this month**
costs_by_server_today = **By server, today**
costs_by_person = **By person, this month**
costs_by_person_today = **By person, today**
costs_by_model = **By model, this month**
costs_by_model_today = **By model, today**
costs_line = { $name }: { $spent } · { $pictures ->
        [one] { $pictures } picture
       *[other] { $pictures } pictures
    }
costs_others = { $count ->
        [one] { $count } more
       *[other] { $count } more
    }
costs_erased = someone who deleted their data
costs_unknown_model = model not on record
costs_server = server `{ $id }`
costs_no_server = direct messages
costs_nothing = Nothing was painted this month.
costs_nothing_today = Nothing was painted today.
costs_alt = Chart of this month's costs: { JOIN($days, by: "; ") }. On all other days nothing was spent.
costs_alt_day = day { $day }: { MONEY($usd) }
costs_alt_nothing = Chart of this month's costs: nothing was spent so far.
costs_only_in_server = This shows what pictures cost in a server: please use it there.
costs_not_member = I am not a member of this server, so there is nothing to show. Someone with Manage Server can add me.
costs_not_manager = Only people with Manage Server can see what others spend. What you have left yourself: `/usage`.
