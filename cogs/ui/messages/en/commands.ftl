# What Discord shows while a command is typed: at most 100 characters each. `.name` of a command or an option may be
# given in other languages; in English it is the name in the code.

command_imagine = Paint a picture from your words.
imagine_prompt = What should be painted? For several lines use /compose
imagine_model = Which model paints; /models says what each is good at
imagine_size = A preset, a ratio such as 16:9, or width x height such as 1280x720
imagine_count = How many pictures
imagine_seed = The same seed and options give the same picture again
imagine_negative_prompt = What should not be in the picture
imagine_style = A style of the chosen model
imagine_steps = More steps: slower, often finer
imagine_guidance = How closely the prompt is followed
imagine_image = A picture to start from or to refer to
imagine_mask = White where the picture may change
imagine_options = Anything else the model takes, as name=value pairs: acceleration=high
command_compose = Write a long prompt of several lines in a window of its own.
compose_model = Which model paints; yours or the server's default if left out
command_models = What each model is good at, how fast it is, what it costs, and its options.
models_name = Which one; all of them if left out
command_usage = What you have left, when it returns, and what of yours is under way.
command_cancel = Stop a picture of yours that is waiting or being painted.
cancel_job = Which one; if left out, your only one or a list to choose from
command_help = How to paint, with three examples.
command_privacy = What is stored about you, where it goes, how long, and how to delete it.
command_settings = Your default model; the server's limits
command_settings_model = Choose the model that paints when none is named.
settings_model_model = The model that paints when none is named; `reset` goes back to the usual one
settings_model_whose = Your own default, or everybody's in this server (needs Manage Server)
choice_mine = mine
choice_this_server = this server
command_settings_limits = Set how much may be painted in this server (needs Manage Server).
settings_limits_images_per_hour = Pictures an hour for each person
settings_limits_burst = Pictures a rested person may ask for at once
settings_limits_images_per_day = Pictures a day for each person
settings_limits_concurrent = Requests a person may have under way at the same time
settings_limits_server_images_per_day = Pictures a day for the whole server
settings_limits_server_concurrent = Requests the whole server may have under way at the same time; 0: any number
settings_limits_reset = Give up this server's own values first
command_settings_show = The default model and the limits that hold for you here.
