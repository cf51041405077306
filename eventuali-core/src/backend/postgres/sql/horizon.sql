SELECT {horizon}()
