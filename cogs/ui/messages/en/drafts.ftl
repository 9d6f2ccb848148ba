# A request that became a job already when somebody clicks once more.

draft_taken = This was asked for already.
draft_taken_at = This was asked for already: [here it is]({ $link }).

# Ways on from a refusal.

not_yours_draft = Only the person who typed this can go on with it. { nothing_spent }
draft_elsewhere = This belongs to another channel; go on with it there. { nothing_spent }
fix_other_model = Go on with another model…
elsewhere_option = { $model } has no option `{ $option }`. These models have it: { AND($models) }. Everything you typed is kept: choose one of them below. { nothing_spent }
elsewhere_option_some = { $model } has no option `{ $option }`. Some that have it: { AND($models) }. Everything you typed is kept: choose one below. { nothing_spent }
elsewhere_picture = { $model } can't start from a picture (`{ $option }`). These models can: { AND($models) }. Everything you typed and attached is kept: choose one of them below. { nothing_spent }
elsewhere_picture_some = { $model } can't start from a picture (`{ $option }`). Some that can: { AND($models) }. Everything you typed and attached is kept: choose one below. { nothing_spent }
