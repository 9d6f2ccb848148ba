# Cards about a job, and small parts that many messages use.

## Small parts

duration_tenths = { NUMBER($seconds, minimumFractionDigits: 1) } s
duration_seconds = { $seconds } s
duration_minutes = { $minutes } min
duration_minutes_seconds = { $minutes } min { $seconds } s
duration_hours = { $hours } h
duration_hours_minutes = { $hours } h { $minutes } min
a_few_seconds = a few seconds
almost_done = almost done
longer_than_usual = this one takes longer than usual
time_left = about { $duration } left
cost_about = about { $cost }
usd = { MONEY($amount) }
usd_under = under { MONEY($amount) }
nothing_visible = (nothing visible)

## In progress

cancelling = Cancelling…
resumed = I was restarted. Your picture is safe and will be finished.
fal_away = fal.ai is not answering right now. I keep trying; your request is not lost.
out_of_credit = The bot's credit at fal.ai is used up. Your request waits until whoever runs this bot adds some. After 24 hours it ends, and costs you nothing.
progress_capped_user = Waiting until one of your other pictures is done.
progress_capped_guild = Waiting until another picture of this server is done.
progress_ahead = Waiting: { $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before yours.
progress_next = Next in line.
progress_handed = Sent to fal.ai. Waiting for it to start.
progress_ahead_at_fal = Waiting at fal.ai: { $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before yours.
progress_next_at_fal = Next in line at fal.ai.
progress_painting = Painting…
progress_bar = Painting { $bar } { $percent } %
progress_step = Step { $step } of { $steps }
progress_delivering = Painted. Posting it here…
progress_confirming = The connection to fal.ai broke before it answered. I am checking whether fal.ai has your request; if not, I send it again, at the latest by { CLOCK($until) }.
progress_cancelling_painted = Cancelling… I asked fal.ai to stop, and wait for it to say whether it bills anything.
progress_cancelling_lost = Cancelling… The connection to fal.ai broke before it answered. I am checking whether fal.ai has your request, to stop it there, at the latest until { CLOCK($until) }.
progress_restarting = I am restarting. Your picture is safe: it starts as soon as I am back.

## Finished

seed = seed `{ $seed }`
for_person = for { $person }
flagged = The safety checker flagged it, so it is hidden as a spoiler: press it to see it.
fewer_came = You asked for { $asked } pictures, and the model made only { $came }. The others do not count.
pictures_numbered = Picture { AND($numbers) }:
original = the original
original_numbered = original { $number }
pictures_withheld = { $count ->
        [one] { $count } picture was
       *[other] { $count } pictures were
    } flagged by the safety checker and kept back.
posted_elsewhere = I can no longer post in { $channel }, so I post it here.
prompt_cut = **{ action_details }** shows the whole prompt.
words_filtered = This server's word filter does not let me show the prompt here.
card_moved = I could not change this message. The result is here: { $link }
card_moved_private = I could not change this message. The result is in our direct messages.
posted_channel_gone = The channel that you asked in is gone, so I post it here.

# What a screen reader says.
alt_painted = A picture painted from the prompt: { $prompt }
alt_painted_of = Picture { $number } of { $count }, painted from the prompt: { $prompt }
alt_unreadable = an unreadable prompt
alt_made = A picture { $made } by { $model }
alt_made_of = Picture { $number } of { $count }, { $made } by { $model }
made = made
made_text_to_image = painted
made_edit = edited
made_inpaint = partly repainted
made_reframe = extended to a new shape
made_upscale = enlarged
made_cut_out = cut out
made_describe = described
made_video = turned into a video

## Details

details_price = Price: { $price }
details_price_unknown = Price: unknown
details_time = Time at fal.ai: { $duration }
details_attach_again = To paint it again, attach the pictures again: I do not keep them.
details_picture_size = Picture { $number }: { $size }
details_picture_seed = Picture { $number }: seed `{ $seed }`
details_picture_seed_size = Picture { $number }: { $size }, seed `{ $seed }`
details_tokens = OpenAI tokens: { $tokens }
details_asked = Asked for by { $person } { AGO($at) }
details_job = Request number: { $id }
details_paste = To paint it again, paste:
details_long = The prompt is long; everything is in this file:
details_beginning = The beginning:
details_defaults = Not chosen, so the model's own values:
details_attached = an attached picture

## Buttons

action_cancel = Cancel
action_why = Why am I waiting?
action_again = Again
action_edit = Edit prompt
action_details = Details
action_delete = Delete
action_paint = Paint with this
action_mydefault = Use as my default
    .chosen = Your default
action_fix = Fix it
    .change = Change
action_payfor = Paint for this price
pay_exactly = Paint for { MONEY($usd) }
pay_about = Paint for about { MONEY($usd) }
action_fixjob = Fix it
action_fixmore = Other fields
action_goon = Try again
action_omit = Leave it out
    .picture = Go on without the picture
action_compose = Write a prompt
action_models = Browse models
action_usage = What I have left
action_eraseask = Delete my data
action_erase = Yes, delete everything
action_erasenot = Keep it
action_numbered = { $action } { $number }

## Why am I waiting?

waiting_title_own = Why am I waiting?
waiting_title = Why is it waiting?
waiting_held = Somebody has to look at it before it is painted. It costs nothing until then.
waiting_handing = It is being sent to fal.ai right now.
waiting_answer_lost = I sent it to fal.ai, but the connection broke before fal.ai answered. First I check whether fal.ai has it, so that nothing is painted or charged twice. That can take some minutes. Your picture is safe.
waiting_answer_lost_until = I sent it to fal.ai, but the connection broke before fal.ai answered. First I check whether fal.ai has it, so that nothing is painted or charged twice. If not, I send it again, at the latest by { CLOCK($until) }. Your picture is safe.
waiting_finished = It is painted. I am posting it here.
waiting_delivered = It is no longer waiting: it is painted and posted.
waiting_ended_own = It is no longer waiting: it has ended. { no_quota }
waiting_ended = It is no longer waiting: it has ended. { no_quota }
waiting_next = **Next in line.** { $waiting ->
        [one] { $waiting } request is waiting
       *[other] { $waiting } requests are waiting
    } in total.
waiting_before = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**. { $waiting ->
        [one] { $waiting } request is waiting
       *[other] { $waiting } requests are waiting
    } in total.
waiting_before_some_own = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**, { $theirs } of them yours. { $waiting ->
        [one] { $waiting } request is waiting
       *[other] { $waiting } requests are waiting
    } in total.
waiting_before_some = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**, { $theirs } of them from the same person. { $waiting ->
        [one] { $waiting } request is waiting
       *[other] { $waiting } requests are waiting
    } in total.
waiting_before_all_own = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**, { $ahead ->
        [1] yours
        [2] both yours
       *[other] all yours
    }. { $waiting ->
        [one] { $waiting } request is waiting
       *[other] { $waiting } requests are waiting
    } in total.
waiting_before_all = **{ $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it**, { $ahead ->
        [1] from the same person
        [2] both from the same person
       *[other] all from the same person
    }. { $waiting ->
        [one] { $waiting } request is waiting
       *[other] { $waiting } requests are waiting
    } in total.
waiting_capped_own = { $number ->
        [one] { $number } of your requests is
       *[other] { $number } of your requests are
    } at fal.ai. That is the most at once for one person. { waiting_one_starts }
waiting_capped_person = { $number ->
        [one] { $number } request of the same person is
       *[other] { $number } requests of the same person are
    } at fal.ai. That is the most at once for one person. { waiting_one_starts }
waiting_capped_guild = { $number ->
        [one] { $number } request of this server is
       *[other] { $number } requests of this server are
    } at fal.ai. That is the most at once for one server. { waiting_one_starts }
waiting_capped_all = { $places ->
        [1] The one place at fal.ai is
       *[other] All { $places } places at fal.ai are
    } taken. { waiting_one_starts }
waiting_one_starts = When one is done, the next one starts.
waiting_room = There is a free place: it starts in a moment.
waiting_starts_in = My guess: it starts in about **{ $duration }**.
waiting_painted = It is no longer waiting: it is being painted.
waiting_painted_left = It is no longer waiting: it is being painted, { $left }.
waiting_at_fal_next = It has left my queue. It is now at fal.ai, and next in line there.
waiting_at_fal_before = It has left my queue. It is now at fal.ai, with { $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before it.
waiting_at_fal_few = fal.ai paints only a few pictures at once for one account. The others wait there.
waiting_at_fal = It has left my queue. It is now at fal.ai, which will start it.
waiting_restarted = I was restarted a moment ago and am picking up all requests again. Nothing is lost.
waiting_turns_server = Servers take turns, and so do the people in a server. So nobody has to wait for one person's long list.
waiting_turns = Servers and people take turns. So nobody has to wait for one person's long list.
waiting_weight_own = Because of your roles, you get { $weight } turns for each turn of other people here.
waiting_weight = Because of their roles, they get { $weight } turns for each turn of other people here.
waiting_now = At fal.ai now: { $count }
waiting_now_guild = from this server: { $count }
waiting_now_own = yours: { $count }
waiting_now_person = from the same person: { $count }
waiting_of = { $number } of { $cap }
